"""Multi steepest descent: one ascent in the union of several balls."""

from __future__ import annotations

from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import LOSSES
from invspec.ops.norms import per_example, steepest
from invspec.ops.types import Bounds, Norm
from invspec.search.ball import Ball, can_move
from invspec.search.fields import Ascended, Eot, FollowsLoss
from invspec.search.search import Search


class BallSettings(BaseModel):
    """One ball of the union, and the length of a step in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    norm: Norm = Field(description="linf, l2 or l1")
    eps: Pixels = Field(ge=0, description="radius of the ball; 0 switches it off")
    step_size: Pixels | None = Field(
        default=None,
        gt=0,
        description="length of one update in norm; default: 2.5 * eps / steps",
    )


class MSD(FollowsLoss, Attack):
    """Gradient ascent in a union of balls; each step uses the candidate of largest loss.

    A step makes one candidate per ball from the same gradient: x_adv + step_size *
    steepest(gradient), projected onto that ball and then onto the box of valid pixels. Per example,
    x_adv becomes the candidate with the largest loss, on ties the first. Returns the image with the
    largest loss seen, including x.

    Norm l1 moves `sparsity` entries per step, a number drawn per step and example: those with the
    largest gradients that are not yet at the bound their gradient points to.

    A step costs a forward and a backward pass for the gradient, and a forward pass for each
    candidate if there are several; a last pass judges the last image. (Using the pass of the chosen
    candidate for the next gradient would save a forward pass, but needs the gradients of all
    candidates.)

    Needs batch.y. Returns x_adv (B, C, H, W). If every eps is 0, returns x without running the
    model.

    Deviates from the authors' code, unless compat: there norm l1 leaves out each entry at 0 or 1,
    even if its gradient points inward, and each entry that a step would take out of its range;
    losses below 0 are ignored; and on ties the last candidate wins. Even with compat, the l2
    candidate is projected onto its ball and then clipped to the box, while theirs is clipped first;
    x itself may be the result; and the number of entries is drawn per example, not per batch.
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
        description="norm l1: least and most entries moved in one update; drawn uniformly",
    )
    loss: Ascended = "ce"
    compat: bool = Field(
        default=False,
        description="as the authors' code: l1 moves no entry at 0 or 1; losses below 0 are ignored",
    )
    eot: Eot = None

    @model_validator(mode="after")
    def _sparsity_in_order(self) -> Self:
        least, most = self.sparsity
        if not 1 <= least <= most:
            raise ValueError(f"expected sparsity as [least, most], found [{least}, {most}]")
        return self

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search, objective = Search(model, batch, eot=self.eot), LOSSES[self.loss]
        settings = [ball for ball in self.balls if ball.eps > 0]
        if not settings:
            return search.result()
        if self.compat:
            # only a loss above 0 beats x
            search.offer(batch.x, torch.zeros_like(search.score))
        x_adv = batch.x
        for _ in range(self.steps):
            logits, gradient = search.logits_and_gradient(objective, x_adv)
            search.offer(x_adv, objective(logits, batch.y))
            candidates = [self._candidate(s, batch, x_adv, gradient, rng) for s in settings]
            x_adv = self._best_candidate(search, x_adv, candidates)
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
        """The steepest direction (B, C, H, W) in l1 for a random number of entries."""
        least, most = self.sparsity
        count = (least + rng.integers(most - least + 1, (len(x_adv),))).to(x_adv.device)
        movable = can_move(x_adv, gradient, bounds)
        if self.compat:
            inside = (x_adv > bounds[0]) & (x_adv < bounds[1])
            # how far each moved entry moves
            gap = per_example(length / count, x_adv)
            movable = inside & can_move(x_adv, gradient, bounds, gap)
        return steepest(gradient.where(movable, 0), "l1", count)

    def _best_candidate(self, search: Search, x_adv: Tensor, candidates: list[Tensor]) -> Tensor:
        """Per example, the candidate of largest loss; with compat, x_adv if all are below 0."""
        if len(candidates) == 1 and not self.compat:
            return candidates[0]
        highest = torch.full_like(search.score, 0.0 if self.compat else -torch.inf)
        for candidate in candidates:
            loss = LOSSES[self.loss](search.logits(candidate), search.y).to(highest)
            better = loss >= highest if self.compat else loss > highest
            x_adv = torch.where(per_example(better, x_adv), candidate, x_adv)
            highest = torch.where(better, loss, highest)
        return x_adv
