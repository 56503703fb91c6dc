"""Multi steepest descent: one walk in the union of several balls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import LOSSES, Loss
from invspec.ops.norms import per_example, project, steepest
from invspec.ops.types import Bounds, Norm
from invspec.search.ball import can_move
from invspec.search.gradients import logits_and_gradient, logits_of


class Ball(BaseModel):
    """Images within eps of x in one norm, and how far a step in it leads."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    norm: Norm = Field(description="linf, l2 or l1")
    eps: Pixels = Field(ge=0, description="radius of the ball; 0 switches it off")
    step_size: Pixels | None = Field(
        default=None, gt=0, description="length of one update, in norm; default: 2.5 * eps / steps"
    )


class MSD(Attack):
    """Climb the loss of the label in the union of balls around x, in each step within the ball where it rises most.

    A step makes one candidate a ball from the one gradient: x_adv + step_size * steepest(gradient), then
    the nearest point of that ball, then of the box of valid pixels. Per example, x_adv becomes the candidate of largest
    loss, the first of equal ones; the answer is the image of largest loss on the way, x included.

    norm l1 moves `sparsity` pixels a step, their number drawn anew for each step and example: those of largest gradient
    that are not already at the end of their range in its direction.

    A step costs a backward pass and a forward pass for the gradient, and one for each candidate, of which a single one
    needs none; a last pass judges the last image. (Climbing from the chosen candidate's own pass would save a forward
    pass, but take gradients of all candidates.) Needs batch.y. Returns x_adv (B, C, H, W). Where every eps is 0, it
    does not ask the model.

    Deviates from the authors' code, unless compat: there norm l1 leaves out each pixel at 0 or 1, even where its
    gradient points inward, and each whose step would end beyond its range; a loss below 0 never counts; and the last of
    equal candidates is taken. With compat too, the l2 candidate is rescaled to its ball and then clipped to the box,
    where theirs is clipped before it is rescaled; x itself may be the answer; and the number of pixels is drawn for
    each example, not for the batch.
    """

    balls: tuple[Ball, ...] = Field(
        default=(
            Ball(norm="l1", eps=10, step_size=1.0),
            Ball(norm="l2", eps=2.0, step_size=0.1),
            Ball(norm="linf", eps=0.3, step_size=0.01),
        ),
        min_length=1,
        description="the union that is searched: norm, eps and step_size of each ball",
    )
    steps: int = Field(default=100, ge=1, description="number of updates")
    sparsity: tuple[int, int] = Field(
        default=(5, 20),
        description="norm l1: least and most pixels moved in one update; the number is drawn between",
    )
    loss: Loss = Field(
        default="ce", description="what to climb: ce, margin, or dlr (Croce and Hein 2020)"
    )
    compat: bool = Field(
        default=False,
        description="as the authors' code: l1 moves no pixel at 0 or 1, and no loss below 0 counts",
    )

    @model_validator(mode="after")
    def _sparsity_in_order(self) -> Self:
        least, most = self.sparsity
        if not 1 <= least <= most:
            raise ValueError(
                f"sparsity {least}, {most}: expected two numbers of pixels, the smaller first"
            )
        return self

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        balls = [ball for ball in self.balls if ball.eps > 0]
        if not balls:
            return Perturbed.costing(batch.x, forwards=0, backwards=0)
        objective, x_adv, best = LOSSES[self.loss], batch.x, self._nothing_yet(batch)
        for _ in range(self.steps):
            logits, gradient = logits_and_gradient(model, objective, x_adv, batch.y)
            best.offer(x_adv, objective(logits, batch.y))
            candidates = [self._candidate(ball, batch, x_adv, gradient, rng) for ball in balls]
            x_adv = (
                self._highest(model, batch.y, x_adv, candidates)
                if self._compares(balls)
                else candidates[0]
            )
        best.offer(x_adv, objective(logits_of(model, x_adv), batch.y))
        compared = len(balls) if self._compares(balls) else 0
        return Perturbed.costing(
            best.x_adv, forwards=self.steps * (1 + compared) + 1, backwards=self.steps
        )

    def _compares(self, balls: list[Ball]) -> bool:
        return len(balls) > 1 or self.compat  # which may refuse even a single candidate

    def _nothing_yet(self, batch: Batch) -> Best:
        lowest = 0.0 if self.compat else -torch.inf
        return Best(batch.x.clone(), batch.x.new_full((len(batch),), lowest))

    def _candidate(
        self, ball: Ball, batch: Batch, x_adv: Tensor, gradient: Tensor, rng: Draws
    ) -> Tensor:
        """One step within one ball, (B, C, H, W)."""
        length = ball.step_size or 2.5 * ball.eps / self.steps
        if ball.norm == "l1":
            step = self._sparse_step(x_adv, gradient, length, batch.bounds, rng)
        else:
            step = length * steepest(gradient, ball.norm)
        return (batch.x + project(x_adv + step - batch.x, ball.eps, ball.norm)).clamp(*batch.bounds)

    def _sparse_step(
        self, x_adv: Tensor, gradient: Tensor, length: float, bounds: Bounds, rng: Draws
    ) -> Tensor:
        least, most = self.sparsity
        count = (least + rng.integers(most - least + 1, (len(x_adv),))).to(x_adv.device)
        movable = can_move(x_adv, gradient, bounds)
        if self.compat:
            inside = (x_adv > bounds[0]) & (x_adv < bounds[1])
            movable = inside & can_move(
                x_adv, gradient, bounds, gap=per_example(length / count, x_adv)
            )
        return length * steepest(gradient.where(movable, 0), "l1", count)

    def _highest(
        self, model: nn.Module, y: Tensor, x_adv: Tensor, candidates: list[Tensor]
    ) -> Tensor:
        """Per example, the candidate of largest loss; with compat, x_adv where every loss is below 0."""
        highest = Best(x_adv, x_adv.new_full((len(x_adv),), 0.0 if self.compat else -torch.inf))
        for candidate in candidates:
            highest.offer(
                candidate, LOSSES[self.loss](logits_of(model, candidate), y), last=self.compat
            )
        return highest.x_adv


@dataclass
class Best:
    """The images (B, C, H, W) of largest loss (B,) so far."""

    x_adv: Tensor
    loss: Tensor

    def offer(self, x_adv: Tensor, loss: Tensor, *, last: bool = False) -> None:
        """Keep, per example, what has a larger loss; with last, also what has the same."""
        loss = loss.to(self.loss)
        better = loss >= self.loss if last else loss > self.loss
        self.x_adv = torch.where(per_example(better, x_adv), x_adv, self.x_adv)
        self.loss = torch.where(better, loss, self.loss)
