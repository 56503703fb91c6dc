"""Projected gradient descent that chooses its own step size, the first two components of AutoAttack."""

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
from invspec.ops.losses import cross_entropy, dlr, dlr_targeted
from invspec.ops.norms import per_example, project, steepest
from invspec.ops.types import Bounds
from invspec.search.gradients import logits_of
from invspec.search.survivors import Survivors, likeliest_others, random_direction

MOMENTUM = 0.75  # alpha of Section 3.1: the share of the gradient's step, not of the last movement
ENOUGH = 0.75  # rho of condition 1: the share of steps that must raise the loss, or the step size is halved
Objective = Callable[[Tensor, Tensor, Tensor], Tensor]  # logits (M, K), y (M,), target (M,) to (M,)
OBJECTIVES: dict[str, Objective] = {
    "ce": lambda logits, y, target: cross_entropy(logits, y),
    "dlr": lambda logits, y, target: dlr(logits, y),
    "dlr_targeted": dlr_targeted,
}


class APGD(Attack):
    """Climb a loss by steps with momentum, which an example halves at checkpoints where they have ceased to help.

    Every run starts at a random image of length eps, with steps of length 2 eps. At a checkpoint (Section 3) an
    example's step size is halved, and its climb goes on from its best image, if too few of its steps have raised its
    loss or if neither its best loss nor its step size have changed since the last checkpoint. A sweep over eps is
    warm-started: the first run sets out from batch.start, what a smaller ball gave.

    An image that the model misclassifies already is the answer as it is, and an example leaves once an image on its
    way is misclassified; of the others the answer is the image of largest loss. Loss dlr_targeted makes a run for
    each of `targets` classes, those with the largest logits at x besides the true one.

    Needs batch.y. Returns x_adv (B, C, H, W). eps 0 does not ask the model.
    Raises: InvspecError where the loss compares more logits than the model has classes.

    Deviates: the paper goes on climbing after success and returns the largest loss; that changes no robust accuracy.
    Checkpoints are rounded as in the authors' code, downwards, for which steps of 100 makes no difference.
    """

    sweep_field: ClassVar[str | None] = "eps"

    eps: Pixels = Field(default=0.3, ge=0, description="radius of the ball")
    norm: Literal["linf", "l2"] = Field(default="linf", description="shape of the ball: linf or l2")
    steps: int = Field(default=100, ge=1, description="number of updates of a run")
    restarts: int = Field(
        default=1, ge=1, description="runs from fresh starts, for each target class"
    )
    loss: Literal["ce", "dlr", "dlr_targeted"] = Field(
        default="ce",
        description="what to climb: ce, dlr (eq. 6), or dlr_targeted (eq. 7), a class at a time",
    )
    targets: int = Field(
        default=9, ge=1, description="loss dlr_targeted: classes to aim at, at most all others"
    )

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if self.eps == 0:
            return Perturbed.costing(batch.x, forwards=0, backwards=0)
        logits = logits_of(model, batch.x)
        survivors, targets = Survivors(batch, logits), self._targets(logits, batch.y)
        for run, target in enumerate(targets.repeat_interleave(self.restarts, dim=1).unbind(1)):
            start = self._start(
                batch, rng
            )  # of all, lest an example's draws depend on its neighbours' fate
            if run == 0 and batch.start is not None:
                start = batch.start
            self._climb(model, survivors, start, target)
        return survivors.found()

    def _targets(self, logits: Tensor, y: Tensor) -> Tensor:
        """Classes to aim at, one run (or `restarts`) each: (B, targets) int64; without aim, the label itself."""
        return (
            likeliest_others(logits, y, self.targets)
            if self.loss == "dlr_targeted"
            else y.unsqueeze(1)
        )

    def _start(self, batch: Batch, rng: Draws) -> Tensor:
        return (batch.x + self.eps * random_direction(batch.x, self.norm, rng)).clamp(*batch.bounds)

    def _climb(self, model: nn.Module, survivors: Survivors, start: Tensor, target: Tensor) -> None:
        """One run of those that are left: steps + 1 forward passes, and steps backward, for who stays to the end."""
        climb, lengths = (
            Climb.of(survivors, start, target, step_size=2 * self.eps),
            checkpoints(self.steps),
        )
        objective = OBJECTIVES[self.loss]
        for step in range(self.steps + 1):
            if not len(climb.rows):
                return
            last = step == self.steps
            fooled = climb.look(model, objective, with_gradient=not last)
            survivors.asked(climb.rows, forwards=1, backwards=int(not last))
            if fooled.any():
                survivors.offer(
                    climb.rows[fooled], climb.x_adv[fooled], climb.loss[fooled], fooled[fooled]
                )
                climb = climb.take(~fooled)
            if step in lengths:
                climb.adapt(lengths[step])
            if not last:
                climb.move(
                    self.eps,
                    self.norm,
                    survivors.batch.bounds,
                    momentum=1.0 if step == 0 else MOMENTUM,
                )
        survivors.offer(climb.rows, climb.best, climb.highest, torch.zeros_like(climb.halved))


def checkpoints(steps: int) -> dict[int, int]:
    """The steps after which step sizes are reconsidered, each with the number of steps since the one before.

    The first comes after 22 % of all steps, each next interval is shorter by 3 %, down to 6 %.

    >>> list(checkpoints(100))
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    length, shrinkage, least = (max(percent * steps // 100, 1) for percent in (22, 3, 6))
    found, at = dict[int, int](), length
    while at <= steps:
        found[at] = length
        length = max(length - shrinkage, least)
        at += length
    return found


@dataclass
class Climb:
    """M examples on their way up. Every field has them along its first axis."""

    rows: Tensor  # (M,) their positions in the batch
    x: Tensor  # (M, C, H, W), as are the next five
    x_adv: Tensor
    x_before: Tensor
    gradient: Tensor
    best: Tensor
    best_gradient: Tensor
    y: Tensor  # (M,), as is all that follows
    target: Tensor
    step_size: Tensor
    loss: Tensor
    highest: Tensor  # loss at best
    highest_before: Tensor  # the same, at the last checkpoint
    rises: Tensor  # steps since then that raised the loss
    halved: Tensor  # whether the step size was halved there

    @classmethod
    def of(cls, survivors: Survivors, start: Tensor, target: Tensor, step_size: float) -> Climb:
        """All survivors of a batch, at their images of start (B, C, H, W) and aiming at target (B,)."""
        rows, batch = survivors.rows, survivors.batch
        x, x_adv, y = batch.x[rows], start[rows], batch.y[rows]
        highest = x.new_full((len(rows),), -torch.inf)
        return cls(
            *(
                rows,
                x,
                x_adv,
                x_adv,
                torch.zeros_like(x),
                x_adv,
                torch.zeros_like(x),
                y,
                target[rows],
            ),
            step_size=torch.full_like(highest, step_size),
            loss=-highest,  # so that the start does not count as a rise
            highest=highest,
            highest_before=highest,
            rises=torch.zeros_like(y),
            halved=torch.ones_like(
                y, dtype=torch.bool
            ),  # so that the first checkpoint only counts rises
        )

    def take(self, rows: Tensor) -> Climb:
        """Some of them, rows (L,) int64 or (M,) bool."""
        return Climb(*(getattr(self, field.name)[rows] for field in fields(self)))

    def look(self, model: nn.Module, objective: Objective, with_gradient: bool) -> Tensor:
        """Ask the model about x_adv, and remember its image and gradient where the loss is the highest so far.

        Returns who is misclassified, (M,) bool.
        """
        leaf = self.x_adv.detach().requires_grad_(with_gradient)
        with torch.set_grad_enabled(with_gradient):
            logits = model(leaf)
            losses = objective(logits, self.y, self.target)
        if with_gradient:
            self.gradient = torch.autograd.grad(losses.sum(), leaf)[0]
        loss = losses.detach().to(self.loss)
        self.rises = self.rises + (loss > self.loss)
        self._improve(loss)
        self.loss = loss
        return logits.detach().argmax(1) != self.y

    def _improve(self, loss: Tensor) -> None:
        higher = per_example(loss > self.highest, self.x)
        self.best = torch.where(higher, self.x_adv, self.best)
        self.best_gradient = torch.where(higher, self.gradient, self.best_gradient)
        self.highest = torch.maximum(loss, self.highest)

    def adapt(self, length: int) -> None:
        """At a checkpoint `length` steps after the last one: halve step sizes and go back to best, where due."""
        stalled = ~self.halved & (self.highest <= self.highest_before)
        self.halved = (self.rises <= ENOUGH * length) | stalled
        back = per_example(self.halved, self.x)
        self.step_size = torch.where(self.halved, self.step_size / 2, self.step_size)
        self.x_adv = torch.where(back, self.best, self.x_adv)
        self.gradient = torch.where(back, self.best_gradient, self.gradient)
        self.highest_before, self.rises = self.highest, torch.zeros_like(self.rises)

    def move(
        self, eps: float, norm: Literal["linf", "l2"], bounds: Bounds, momentum: float
    ) -> None:
        """One update, Section 3.1."""

        def nearest(point: Tensor) -> Tensor:
            return (self.x + project(point - self.x, eps, norm)).clamp(*bounds)

        ahead = nearest(
            self.x_adv + per_example(self.step_size, self.x) * steepest(self.gradient, norm)
        )
        drift = (1 - momentum) * (self.x_adv - self.x_before)
        moved = nearest(self.x_adv + momentum * (ahead - self.x_adv) + drift)
        self.x_before, self.x_adv = self.x_adv, moved
