"""Projected gradient descent with adaptive step sizes, the first two attacks of AutoAttack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import Loss, cross_entropy, dlr, dlr_targeted, least_classes
from invspec.ops.norms import per_example
from invspec.search.ball import Ball, eps_0_skips_model, random_direction
from invspec.search.fields import Eot
from invspec.search.gradients import Objective, likeliest_others
from invspec.search.search import Evaluation, Search

# alpha of section 3.1: weight of the gradient step; the rest repeats the last movement
MOMENTUM = 0.75
# rho of condition 1: the step size is halved unless a larger share of steps raises the loss
MIN_RISES = 0.75

# logits (M, K), y (M,) and target (M,) to (M,)
TargetedLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
LOSSES: dict[str, TargetedLoss] = {
    "ce": lambda logits, y, target: cross_entropy(logits, y),
    "dlr": lambda logits, y, target: dlr(logits, y),
    "dlr_targeted": dlr_targeted,
}


class APGD(Attack):
    """Gradient ascent with momentum that halves an example's step size when steps stop helping.

    Every run starts at a random image at distance eps, with steps of length 2 eps. At a checkpoint
    (section 3) an example's step size is halved, and its ascent continues from its best image, if
    too few of its steps have raised its loss, or if neither its best loss nor its step size has
    changed since the last checkpoint. A sweep over eps is warm-started: the first run starts at
    batch.start, the result for the next smaller eps.

    An image that is already misclassified is returned unchanged, and an example stops at its first
    misclassified image; for the others the result is the image of largest loss. Loss dlr_targeted
    makes one run for each of the `targets` classes with the largest logits at x, apart from y.

    Needs batch.y. Returns x_adv (B, C, H, W). eps 0 returns x without running the model.
    Raises: InvspecError if the loss compares more logits than the model has classes.

    Deviates: the paper continues after success and returns the image of largest loss, which does
    not change robust accuracy. Checkpoints are rounded down, as in the authors' code; with 100
    steps this makes no difference.
    """

    sweep_field: ClassVar[str | None] = "eps"

    eps: Pixels = Field(default=0.3, ge=0, description="radius of the ball")
    norm: Literal["linf", "l2"] = Field(default="linf", description="shape of the ball: linf or l2")
    steps: int = Field(default=100, ge=1, description="number of updates per run")
    restarts: int = Field(default=1, ge=1, description="runs from fresh starts, per target class")
    loss: Literal["ce", "dlr", "dlr_targeted"] = Field(
        default="ce",
        description="loss to maximise: ce, dlr (eq. 6), or dlr_targeted (eq. 7), one run per class",
    )
    targets: int = Field(
        default=9,
        ge=1,
        description="loss dlr_targeted: number of target classes, at most classes - 1",
    )
    eot: Eot = None

    @property
    def least_classes(self) -> int:
        return least_classes(self.loss)

    @property
    def gradient_loss(self) -> Loss:
        return "ce" if self.loss == "ce" else "dlr"

    @eps_0_skips_model
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search, ball = Search(model, batch, eot=self.eot), Ball(self.norm, self.eps, batch.bounds)
        logits = search.logits(batch.x)
        search.narrow(logits.argmax(1) == batch.y)
        for run, target in enumerate(self._targets(logits, batch.y)):
            # for the whole batch: an example's draws must not depend on which others are active
            start = batch.x + self.eps * random_direction(batch.x, self.norm, rng)
            start = start.clamp(*batch.bounds)
            if run == 0 and batch.start is not None:
                start = batch.start
            self._climb(search, ball, search.pick(start), search.pick(target))
        return search.result()

    def _targets(self, logits: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """The target class (B,) of each run; y itself for untargeted losses."""
        targeted = self.loss == "dlr_targeted"
        targets = likeliest_others(logits, y, self.targets) if targeted else y.unsqueeze(1)
        return targets.repeat_interleave(self.restarts, dim=1).unbind(1)

    def _climb(self, search: Search, ball: Ball, start: Tensor, target: Tensor) -> None:
        """One run: steps + 1 forward and steps backward passes per example that never leaves."""
        climb, lengths = Climb.of(start, target, step_size=2 * self.eps), checkpoints(self.steps)
        for step in range(self.steps + 1):
            if not len(search):
                return
            # the last pass only judges the image after the last update
            last = step == self.steps
            evaluation = search.evaluate(self._objective(climb), climb.x_adv, gradient=not last)
            climb.record(evaluation)
            stay = search.narrow(evaluation.logits.argmax(1) == search.y, climb.x_adv)
            if stay is not None:
                climb = climb.take(stay)
            if step in lengths:
                climb.adapt(lengths[step])
            if not last:
                # before the first update there is no movement to repeat
                climb.move(ball, search.x, momentum=1.0 if step == 0 else MOMENTUM)
        search.offer(climb.best, climb.highest)

    def _objective(self, climb: Climb) -> Objective:
        return lambda logits, y: LOSSES[self.loss](logits, y, climb.target)


def checkpoints(steps: int) -> dict[int, int]:
    """Map each checkpoint, counted in steps, to the number of steps since the last one.

    The first is at 22 % of all steps; each interval is 3 % of them shorter, down to 6 %.

    >>> list(checkpoints(100))
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    length, shrinkage, least = (max(percent * steps // 100, 1) for percent in (22, 3, 6))
    lengths, step = dict[int, int](), length
    while step <= steps:
        lengths[step] = length
        length = max(length - shrinkage, least)
        step += length
    return lengths


@dataclass
class Climb:
    """The ascent of M active examples, which are the first axis of every field."""

    x_adv: Tensor  # (M, C, H, W), as are the next four
    x_before: Tensor
    gradient: Tensor
    best: Tensor
    best_gradient: Tensor
    target: Tensor  # (M,), as are all that follow
    step_size: Tensor
    loss: Tensor
    highest: Tensor  # loss at best
    highest_before: Tensor  # the same at the last checkpoint
    rises: Tensor  # steps since the last checkpoint that raised the loss
    halved: Tensor  # whether the step size was halved at the last checkpoint

    @classmethod
    def of(cls, start: Tensor, target: Tensor, step_size: float) -> Climb:
        """The ascent from start (M, C, H, W), aiming at target (M,)."""
        zeros, highest = torch.zeros_like(start), start.new_full((len(start),), -torch.inf)
        return cls(
            x_adv=start,
            x_before=start,
            gradient=zeros,
            best=start,
            best_gradient=zeros,
            target=target,
            step_size=torch.full_like(highest, step_size),
            # above any loss, so that the start does not count as a rise
            loss=-highest,
            highest=highest,
            highest_before=highest,
            rises=torch.zeros_like(target),
            # as if halved before, so that the first checkpoint only counts rises
            halved=torch.ones_like(target, dtype=torch.bool),
        )

    def take(self, positions: Tensor) -> Climb:
        """The ascent of the examples at positions (m,) int64."""
        return Climb(*(getattr(self, field.name)[positions] for field in fields(self)))

    def record(self, evaluation: Evaluation) -> None:
        """Note the loss at x_adv; where it is the highest so far, keep image and gradient."""
        self.gradient, loss = evaluation.gradient, evaluation.value.to(self.loss)
        higher = per_example(loss > self.highest, self.x_adv)
        self.best = torch.where(higher, self.x_adv, self.best)
        self.best_gradient = torch.where(higher, self.gradient, self.best_gradient)
        self.highest = torch.maximum(loss, self.highest)
        self.rises = self.rises + (loss > self.loss)
        self.loss = loss

    def adapt(self, length: int) -> None:
        """At a checkpoint `length` steps after the last: halve step sizes and return to best."""
        # condition 2: neither the step size nor the best loss has changed since the last checkpoint
        stalled = ~self.halved & (self.highest <= self.highest_before)
        # condition 1; <= as in the authors' code, where the paper prints <
        self.halved = (self.rises <= MIN_RISES * length) | stalled
        back = per_example(self.halved, self.x_adv)
        self.step_size = torch.where(self.halved, self.step_size / 2, self.step_size)
        self.x_adv = torch.where(back, self.best, self.x_adv)
        self.gradient = torch.where(back, self.best_gradient, self.gradient)
        self.highest_before, self.rises = self.highest, torch.zeros_like(self.rises)

    def move(self, ball: Ball, x: Tensor, momentum: float) -> None:
        """One update in the ball around x (M, C, H, W), section 3.1."""
        # z = P(x + step), then P(x + alpha (z - x) + (1 - alpha) (x - x_before)) with alpha =
        # momentum
        ahead = ball.step(self.x_adv, self.gradient, x, self.step_size)
        drift = (1 - momentum) * (self.x_adv - self.x_before)
        moved = ball.project(self.x_adv + momentum * (ahead - self.x_adv) + drift, x)
        self.x_before, self.x_adv = self.x_adv, moved
