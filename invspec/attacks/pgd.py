"""Projected gradient descent in an l-infinity, l2 or l1 ball."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number, Pixels, Standardised
from invspec.ops.draws import Draws
from invspec.ops.losses import LOSSES
from invspec.ops.norms import project, steepest
from invspec.ops.types import Bounds, Norm
from invspec.search.ball import Ball, can_move, eps_0_skips_model
from invspec.search.fields import Ascended, Eot, EpsSpace, FollowsLoss, Label
from invspec.search.search import Search

# one update: x_adv, which is changed in place, and the gradient there
Move = Callable[[Tensor, Tensor], None]


class PGD(FollowsLoss, Attack):
    """Gradient ascent on the loss of the label, projected onto the eps-ball around x.

    A step is x_adv + step_size * steepest(gradient), projected onto the ball and then onto the box
    of valid pixels. With one restart the result is the last image, as in the paper; it is not
    judged, which saves a forward pass. With more, each restart runs on the examples that are still
    classified correctly, and the result is, per example, a misclassified image if there is one,
    else the image of largest loss.

    random_start: uniform in the linf ball; for l2 and l1, an isotropic direction and a length in
    that norm that is uniform in [0, eps]. Norm l1 moves `sparsity` entries per step: those with the
    largest gradients that are not yet at the bound their gradient points to; the linear optimum
    needs sparsity 1.

    eps_space standardised measures the ball and the steps in the units of a standardising model:
    channel c of the image is divided by pixel_std[c]. The image itself stays in pixels, within
    their bounds.

    A sweep over eps is warm-started: the first restart begins at batch.start, the result for the
    next smaller eps.

    Needs batch.y if label is true. Returns x_adv (B, C, H, W). eps 0 returns x without running the
    model.
    """

    sweep_field: ClassVar[str | None] = "eps"

    eps: Pixels = Field(default=0.3, ge=0, description="radius of the ball, in units of eps_space")
    norm: Norm = Field(default="linf", description="shape of the ball: linf, l2 or l1")
    steps: int = Field(default=40, ge=1, description="number of updates")
    step_size: Pixels | None = Field(
        default=None, gt=0, description="length of one update in norm; default: 2.5 * eps / steps"
    )
    relative_step_size: Number | None = Field(
        default=None, gt=0, description="length of one update as a share of eps"
    )
    random_start: bool = Field(
        default=True, description="start at a random point of the ball, not at x"
    )
    restarts: int = Field(default=1, ge=1, description="fresh starts, kept if better")
    loss: Ascended = "ce"
    label: Label = Field(
        default="true", description="label to attack: true, or predicted by the model"
    )
    eps_space: EpsSpace = Field(
        default="pixel", description="units of eps: pixels, or the model's standardised input"
    )
    sparsity: int = Field(default=1, ge=1, description="norm l1: entries moved in one update")
    eot: Eot = None

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(
                f"without random_start all {self.restarts} restarts are equal;"
                " set random_start: true or restarts: 1"
            )
        if self.step_size is not None and self.relative_step_size is not None:
            raise ValueError(
                "step_size and relative_step_size both fix the length of an update; give one"
            )
        if self.sparsity > 1 and self.norm != "l1":
            raise ValueError(
                f"sparsity {self.sparsity} needs norm l1; {self.norm} moves every entry"
            )
        return self

    @property
    def accepts(self) -> type | None:
        return Standardised if self.eps_space == "standardised" else None

    def unit_of(self, name: str) -> str:
        if name in ("eps", "step_size") and self.eps_space == "standardised":
            return "standardised pixels"
        return super().unit_of(name)

    def used(self, name: str) -> Any:
        return self._step_size if name == "step_size" else super().used(name)

    @property
    def keeps_last(self) -> bool:
        return self.restarts == 1

    @eps_0_skips_model
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search = Search(model, batch, self.label, eot=self.eot)
        unit = self._unit(model, batch.x)
        ball = Ball(self.norm, self.eps, batch.bounds, unit)
        for restart in range(self.restarts):
            # for the whole batch: an example's draws must not depend on which others are active
            start = self._start(restart, batch, ball, rng)
            if not len(search):
                continue
            x_adv, move = search.pick(start), self._move(search.x, batch.bounds, unit)
            for _ in range(self.steps):
                move(x_adv, search.gradient(LOSSES[self.loss], x_adv))
            if self.restarts == 1:
                return search.result(x_adv)
            search.judge(LOSSES[self.loss], x_adv)
        return search.result()

    def _unit(self, model: nn.Module, x: Tensor) -> Tensor:
        """One unit of eps_space in pixels, (1, C, 1, 1) or a scalar."""
        if self.eps_space == "pixel":
            return x.new_ones(())
        return cast(Standardised, model).pixel_std.to(x).view(1, -1, 1, 1)

    def _start(self, restart: int, batch: Batch, ball: Ball, rng: Draws) -> Tensor:
        """The first images (B, C, H, W) of a restart, a new tensor."""
        warm = batch.start if restart == 0 else None
        if warm is not None and self.restarts == 1:
            return warm.clone()
        # drawn even if a warm start replaces it, so that later restarts draw the same either way
        fresh = ball.start(batch.x, rng) if self.random_start else batch.x.clone()
        return fresh if warm is None else warm.clone()

    def _move(self, x: Tensor, bounds: Bounds, unit: Tensor) -> Move:
        """One update, in place."""
        by_norm = self._move_linf if self.norm == "linf" else self._move_projected
        return by_norm(x, bounds, unit)

    def _move_linf(self, x: Tensor, bounds: Bounds, unit: Tensor) -> Move:
        """One update in linf: ball and box meet in an interval per entry, hence a single clamp."""
        low = (x - self.eps * unit).clamp_min_(bounds[0])
        high = (x + self.eps * unit).clamp_max_(bounds[1])
        step = self._step_size * unit

        def move(x_adv: Tensor, gradient: Tensor) -> None:
            x_adv.addcmul_(gradient.sign(), step).clamp_(low, high)

        return move

    def _move_projected(self, x: Tensor, bounds: Bounds, unit: Tensor) -> Move:
        """One update in l2 or l1: project onto the ball, then clamp, which does not leave it."""

        def move(x_adv: Tensor, gradient: Tensor) -> None:
            # by the chain rule, the gradient in units of eps_space
            rising = gradient * unit
            if self.norm == "l1":
                rising = rising.where(can_move(x_adv, gradient, bounds), 0)
            step = self._step_size * steepest(rising, self.norm, self.sparsity)
            delta = project((x_adv - x) / unit + step, self.eps, self.norm)
            torch.addcmul(x, delta, unit, out=x_adv).clamp_(*bounds)

        return move

    @property
    def _step_size(self) -> float:
        if self.step_size is not None:
            return self.step_size
        share = self.relative_step_size
        return self.eps * (2.5 / self.steps if share is None else share)
