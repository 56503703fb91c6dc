"""Projected gradient descent in an l-infinity, l2 or l1 ball."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number, Pixels, Standardised
from invspec.ops.draws import Draws
from invspec.ops.losses import LOSSES, Loss
from invspec.ops.norms import project, steepest
from invspec.ops.types import Norm
from invspec.search.ball import Ball, can_move
from invspec.search.fields import EpsSpace, Label
from invspec.search.gradients import input_gradient, logits_of

Move = Callable[[Tensor, Tensor], None]


class PGD(Attack):
    """Climb the loss of the label by steps of steepest ascent, each brought back into the eps-ball around x.

    A step is x_adv + step_size * steepest(gradient), then the nearest point of the ball, then of the box of valid
    pixels. With one restart the last image is the answer, as in the paper, and no forward pass is spent on judging
    it. With more, each starts afresh, an example whose prediction has left the label sits out the rest, and the
    answer is, per example, a misclassified image before any other, then the one of largest loss.

    random_start: linf, uniform in the ball. l2 and l1, an isotropic direction, and a length in that norm that is
    uniform in [0, eps]. norm l1 moves `sparsity` pixels a step, those of largest gradient that are not already at
    the end of their range in its direction; the linear optimum needs sparsity 1.

    eps_space standardised measures the ball and the steps in the units that a standardising model sees: channel c
    of the image is divided by pixel_std[c]. The image itself stays in pixels, within their bounds.

    A sweep over eps is warm-started: the first climb sets out from batch.start, what a smaller ball gave.

    Needs batch.y for label true. Returns x_adv (B, C, H, W). eps 0 does not ask the model.
    """

    sweep_field: ClassVar[str | None] = "eps"

    eps: Pixels = Field(default=0.3, ge=0, description="radius of the ball, in units of eps_space")
    norm: Norm = Field(default="linf", description="shape of the ball: linf, l2 or l1")
    steps: int = Field(default=40, ge=1, description="number of updates")
    step_size: Pixels | None = Field(
        default=None, gt=0, description="length of one update, in norm; default: 2.5 * eps / steps"
    )
    relative_step_size: Number | None = Field(
        default=None, gt=0, description="step_size in units of eps, instead"
    )
    random_start: bool = Field(
        default=True, description="start at a random point of the ball, not at x"
    )
    restarts: int = Field(default=1, ge=1, description="fresh starts, kept if better")
    loss: Loss = Field(
        default="ce",
        description="what to climb: ce, margin, dlr (Croce and Hein 2020) or confidence",
    )
    label: Label = Field(
        default="true", description="leave the true label, or the one predicted for x"
    )
    eps_space: EpsSpace = Field(
        default="pixel", description="units of eps: pixels, or the model's standardised input"
    )
    sparsity: int = Field(default=1, ge=1, description="norm l1: pixels moved in one update")

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(
                f"without random_start all {self.restarts} restarts are the same; give one or the other"
            )
        if self.step_size is not None and self.relative_step_size is not None:
            raise ValueError(
                "step_size and relative_step_size both fix the length of an update; give one"
            )
        if self.sparsity > 1 and self.norm != "l1":
            raise ValueError(
                f"sparsity {self.sparsity} needs norm l1; {self.norm} moves every pixel"
            )
        return self

    @property
    def accepts(self) -> type | None:
        return Standardised if self.eps_space == "standardised" else None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if self.eps == 0:
            return Perturbed.costing(batch.x, forwards=0, backwards=0)
        search = self._best_of_restarts if self.restarts > 1 else self._once
        if self.label == "true":
            return search(model, batch, rng)
        found = search(model, replace(batch, y=logits_of(model, batch.x).argmax(1)), rng)
        return replace(found, forwards=found.forwards + 1)

    def _once(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        start = self._start(model, batch, rng) if batch.start is None else batch.start.clone()
        x_adv = self._climb(model, batch, start)
        return Perturbed.costing(x_adv, forwards=self.steps, backwards=self.steps)

    def _best_of_restarts(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        best, highest = batch.x.clone(), batch.x.new_full((len(batch),), -torch.inf)
        fooled, tried = torch.zeros_like(batch.y, dtype=torch.bool), torch.zeros_like(batch.y)
        for restart in range(self.restarts):
            start = self._start(
                model, batch, rng
            )  # of all, lest an example's draws depend on its neighbours' fate
            if restart == 0 and batch.start is not None:
                start = batch.start.clone()
            rows = (~fooled).nonzero().squeeze(1)
            if not len(rows):
                continue
            active = batch.take(rows)
            x_adv = self._climb(model, active, start[rows])
            logits = logits_of(model, x_adv)
            loss, left = (
                LOSSES[self.loss](logits, active.y).to(highest),
                logits.argmax(1) != active.y,
            )
            better = left | (loss > highest[rows])
            best[rows[better]], highest[rows[better]] = x_adv[better], loss[better]
            fooled[rows] = left
            tried[rows] += 1
        return Perturbed(best, forwards=tried * (self.steps + 1), backwards=tried * self.steps)

    def _start(self, model: nn.Module, batch: Batch, rng: Draws) -> Tensor:
        """A new tensor: x, or a random image of the ball and the box."""
        if not self.random_start:
            return batch.x.clone()
        ball = Ball(self.norm, self.eps, batch.bounds, self._unit(model, batch.x))
        return ball.start(batch.x, rng)

    def _climb(self, model: nn.Module, batch: Batch, x_adv: Tensor) -> Tensor:
        """Take all the steps, in place, from x_adv."""
        unit, loss = self._unit(model, batch.x), LOSSES[self.loss]
        move = self._move_linf(batch, unit) if self.norm == "linf" else self._move(batch, unit)
        for _ in range(self.steps):
            move(x_adv, input_gradient(model, loss, x_adv, batch.y))
        return x_adv

    def _move_linf(self, batch: Batch, unit: Tensor) -> Move:
        """The update of norm linf: ball and box are one interval per pixel, so that one clamp does for both."""
        low = (batch.x - self.eps * unit).clamp_min_(batch.bounds[0])
        high = (batch.x + self.eps * unit).clamp_max_(batch.bounds[1])
        step = self._step_size * unit

        def move(x_adv: Tensor, gradient: Tensor) -> None:
            x_adv.addcmul_(gradient.sign(), step).clamp_(low, high)

        return move

    def _move(self, batch: Batch, unit: Tensor) -> Move:
        """The update of norms l2 and l1: ball, then box; both only shorten, so the box does not undo the ball."""

        def move(x_adv: Tensor, gradient: Tensor) -> None:
            rising = gradient * unit  # by the chain rule, the gradient in units of eps_space
            if self.norm == "l1":
                rising = rising.where(can_move(x_adv, gradient, batch.bounds), 0)
            delta = (x_adv - batch.x) / unit + self._step_size * steepest(
                rising, self.norm, self.sparsity
            )
            delta = project(delta, self.eps, self.norm)
            torch.addcmul(batch.x, delta, unit, out=x_adv).clamp_(*batch.bounds)

        return move

    def _unit(self, model: nn.Module, x: Tensor) -> Tensor:
        """One unit of eps_space in pixels, (1, C, 1, 1) or a scalar."""
        if self.eps_space == "pixel":
            return x.new_ones(())
        return cast(Standardised, model).pixel_std.to(x).view(1, -1, 1, 1)

    @property
    def _step_size(self) -> float:
        if self.step_size is not None:
            return self.step_size
        return self.eps * (
            2.5 / self.steps if self.relative_step_size is None else self.relative_step_size
        )
