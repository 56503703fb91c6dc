"""Multi steepest descent: one ascent in the union of several balls."""

from __future__ import annotations

from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import LOSSES, Loss
from invspec.ops.norms import per_example, steepest
from invspec.ops.types import Bounds, Norm
from invspec.search.ball import Ball, can_move
from invspec.search.search import Search


class BallSettings(BaseModel):
    """One ball of the union, and the length of a step in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    norm: Norm = Field(description="linf, l2 or l1")
    eps: Pixels = Field(ge=0, description="radius of the ball; 0 switches it off")
    step_size: Pixels | None = Field(
        default=None, gt=0, description="length of one update, in norm; default: 2.5 * eps / steps"
    )


class MSD(Attack):
    """Gradient ascent in the union of balls around x; each step is in the ball where it gains most.

    A step makes one candidate per ball from the same gradient: x_adv + step_size *
    steepest(gradient), projected onto that ball and then onto the box of valid pixels. Per example,
    x_adv becomes the candidate of largest loss, the first of equal ones. The answer is the image of
    largest loss on the way, x included.

    Norm l1 moves `sparsity` pixels a step, a number drawn per step and example: those of largest
    gradient that are not yet at the bound that it points to.

    A step costs a forward and a backward pass for the gradient, and a forward pass for each
    candidate if there are several; a last pass judges the last image. (Using the pass of the chosen
    candidate for the next gradient would save a forward pass, but needs the gradients of all
    candidates.)

    Needs batch.y. Returns x_adv (B, C, H, W). If every eps is 0, the model is skipped.

    Deviates from the authors' code, unless compat: there norm l1 leaves out each pixel at 0 or 1,
    even if its gradient points inward, and each pixel that a step would take out of its range; a
    loss below 0 never counts; and of equal candidates the last is taken. Also with compat, the l2
    candidate is projected onto its ball and then clipped to the box, while theirs is clipped first;
    x itself may be the answer; and the number of pixels is drawn per example, not per batch.
    """

    balls: tuple[BallSettings, ...] = Field(
        default=(
            BallSettings(norm="l1", eps=10, step_size=1.0),
            BallSettings(norm="l2", eps=2.0, step_size=0.1),
            BallSettings(norm="linf", eps=0.3, step_size=0.01),
        ),
        min_length=1,
        description="the union of balls: norm, eps and step_size of each",
    )
    steps: int = Field(default=100, ge=1, description="number of updates")
    sparsity: tuple[int, int] = Field(
        default=(5, 20),
        description="norm l1: least and most pixels moved in one update; drawn uniformly",
    )
    loss: Loss = Field(
        default="ce", description="loss to climb: ce, margin, or dlr (Croce and Hein 2020)"
    )
    compat: bool = Field(
        default=False,
        description="as the authors' code: l1 moves no pixel at 0 or 1, and no loss below 0 counts",
    )

    @model_validator(mode="after")
    def _sparsity_in_order(self) -> Self:
        least, most = self.sparsity
        if not 1 <= least <= most:
            raise ValueError(f"expected sparsity as [least, most], found [{least}, {most}]")
        return self

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search, objective = Search(model, batch), LOSSES[self.loss]
        balls = [settings for settings in self.balls if settings.eps > 0]
        if not balls:
            return search.result()
        if self.compat:
            # only a loss above 0 beats x
            search.offer(batch.x, torch.zeros_like(search.score))
        x_adv = batch.x
        for _ in range(self.steps):
            logits, gradient = search.logits_and_gradient(objective, x_adv)
            search.offer(x_adv, objective(logits, batch.y))
            candidates = [self._candidate(ball, batch, x_adv, gradient, rng) for ball in balls]
            x_adv = self._highest(search, x_adv, candidates)
        search.offer(x_adv, objective(search.logits(x_adv), batch.y))
        return search.result()

    def _candidate(
        self, settings: BallSettings, batch: Batch, x_adv: Tensor, gradient: Tensor, rng: Draws
    ) -> Tensor:
        """One step within one ball, (B, C, H, W)."""
        ball = Ball(settings.norm, settings.eps, batch.bounds)
        length = settings.step_size or 2.5 * settings.eps / self.steps
        if ball.norm != "l1":
            return ball.step(x_adv, gradient, batch.x, length)
        direction = self._sparse(x_adv, gradient, length, batch.bounds, rng)
        return ball.project(x_adv + length * direction, batch.x)

    def _sparse(
        self, x_adv: Tensor, gradient: Tensor, length: float, bounds: Bounds, rng: Draws
    ) -> Tensor:
        """The steepest direction (B, C, H, W) in l1 for a random number of pixels."""
        least, most = self.sparsity
        count = (least + rng.integers(most - least + 1, (len(x_adv),))).to(x_adv.device)
        movable = can_move(x_adv, gradient, bounds)
        if self.compat:
            inside = (x_adv > bounds[0]) & (x_adv < bounds[1])
            # how far each moved pixel moves
            gap = per_example(length / count, x_adv)
            movable = inside & can_move(x_adv, gradient, bounds, gap)
        return steepest(gradient.where(movable, 0), "l1", count)

    def _highest(self, search: Search, x_adv: Tensor, candidates: list[Tensor]) -> Tensor:
        """Per example, the candidate of largest loss; with compat, x_adv if no loss reaches 0."""
        if len(candidates) == 1 and not self.compat:
            return candidates[0]
        highest = torch.full_like(search.score, 0.0 if self.compat else -torch.inf)
        for candidate in candidates:
            loss = LOSSES[self.loss](search.logits(candidate), search.y).to(highest)
            better = loss >= highest if self.compat else loss > highest
            x_adv = torch.where(per_example(better, x_adv), candidate, x_adv)
            highest = torch.where(better, loss, highest)
        return x_adv
