"""The fast adaptive boundary attack, the third component of AutoAttack."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Pixels
from invspec.ops.draws import Draws
from invspec.ops.hyperplanes import way_to_hyperplane
from invspec.ops.norms import per_example, size
from invspec.ops.types import Bounds
from invspec.search.gradients import logits_of
from invspec.search.survivors import Survivors, likeliest_others, random_direction

MOST_BIAS = 0.1  # alpha_max: how much of a step may be one from x instead of from where the walk is
OVERSHOOT = 1.05  # eta: how far a step goes, in units of the distance to the linearised boundary
RETREAT = 0.9  # beta: where between x and an adversarial image the walk goes on
RADIUS = {
    "linf": 0.3,
    "l2": 1.0,
}  # of the ball for restarts, as long as neither eps nor a find bounds it


class FAB(Attack):
    """Walk along the decision boundary towards its point nearest to x: the shortest perturbation that is found.

    Each step linearises the boundary between the true class and one other where the walk is, projects both that
    point and x onto it, exactly and within the box, and overshoots from a convex combination of the two. Wherever it
    arrives at an adversarial image, which is kept if it is the nearest so far, it retreats towards x. There is a walk
    for each of `targets` classes, those with the largest logits at x besides the true one (FAB-T).

    Without eps every walk is walked to its end. With eps the attack is one on the ball: an example leaves once an
    image within eps is found, and where there is none the answer is x. It is x too where no walk has crossed the
    boundary, and where the model misclassifies x already. Restarts set out from a random image in half the ball of
    radius eps, or of the shortest perturbation so far if that is smaller.

    Needs batch.y. Returns x_adv (B, C, H, W). eps 0 does not ask the model.

    Deviates: as in AutoAttack, targeted, and without the paper's final search on the segment to x.
    """

    eps: Pixels | None = Field(
        default=None, ge=0, description="radius of the ball; default: the nearest, however far"
    )
    norm: Literal["linf", "l2"] = Field(
        default="linf", description="length to minimise: linf or l2"
    )
    steps: int = Field(default=100, ge=1, description="number of updates of a walk")
    restarts: int = Field(
        default=1, ge=1, description="walks towards each class; all but the first start at random"
    )
    targets: int = Field(default=9, ge=1, description="classes to aim at, at most all others")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if self.eps == 0:
            return Perturbed.costing(batch.x, forwards=0, backwards=0)
        logits = logits_of(model, batch.x)
        survivors = Survivors(batch, logits)
        for target in likeliest_others(logits, batch.y, self.targets).unbind(1):
            for restart in range(self.restarts):
                start = self._start(survivors, rng) if restart else batch.x
                self._walk(model, survivors, start, target)
        found = survivors.found()
        if self.eps is None:
            return found
        return replace(
            found, x_adv=torch.where(per_example(survivors.fooled, batch.x), found.x_adv, batch.x)
        )

    def _start(self, survivors: Survivors, rng: Draws) -> Tensor:
        """A random image for each example of the batch, lest its draws depend on its neighbours' fate."""
        batch, shortest = survivors.batch, -survivors.highest
        radius = shortest.clamp_max(RADIUS[self.norm] if self.eps is None else self.eps)
        noise = random_direction(batch.x, self.norm, rng)
        return (batch.x + per_example(radius / 2, noise) * noise).clamp(*batch.bounds)

    def _walk(self, model: nn.Module, survivors: Survivors, start: Tensor, target: Tensor) -> None:
        """Two forward passes and one backward pass a step, for those that are left. The score is minus the length."""
        rows, bounds = survivors.rows, survivors.batch.bounds
        x, y, at, target = (
            survivors.batch.x[rows],
            survivors.batch.y[rows],
            start[rows],
            target[rows],
        )
        for _ in range(self.steps):
            if not len(rows):
                return
            gap, normal = lead(model, at, y, target)
            at = step(x, at, gap, normal, bounds, self.norm)
            crossed = logits_of(model, at).argmax(1) != y
            survivors.asked(rows, forwards=2, backwards=1)
            length = size(at - x, self.norm)[crossed]
            survivors.offer(
                rows[crossed], at[crossed], score=-length, fooled=length <= (self.eps or 0)
            )
            at = torch.where(per_example(crossed, at), x + RETREAT * (at - x), at)
            left = ~survivors.fooled[rows]
            if not left.all():
                rows, x, y, at, target = (tensor[left] for tensor in (rows, x, y, at, target))


def lead(model: nn.Module, x: Tensor, y: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """By how much the target's logit exceeds that of y, (B,), and the gradient of that, (B, C, H, W)."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(leaf)
        gap = (logits.gather(1, target.unsqueeze(1)) - logits.gather(1, y.unsqueeze(1))).squeeze(1)
    (normal,) = torch.autograd.grad(gap.sum(), leaf)
    return gap.detach(), normal


def step(
    x: Tensor, at: Tensor, gap: Tensor, normal: Tensor, bounds: Bounds, norm: Literal["linf", "l2"]
) -> Tensor:
    """The next image (B, C, H, W) of a walk around x that is at `at`, where the lead is gap and its gradient normal."""
    gap_at_x = gap + (normal * (x - at)).flatten(1).sum(1)
    onwards = way_to_hyperplane(at, gap, normal, bounds, norm)
    from_x = way_to_hyperplane(x, gap_at_x, normal, bounds, norm)
    near, far = (size(way, norm).clamp_min(1e-8) for way in (onwards, from_x))
    bias = per_example((near / (near + far)).clamp_max(MOST_BIAS), x)
    return ((1 - bias) * (at + OVERSHOOT * onwards) + bias * (x + OVERSHOOT * from_x)).clamp(
        *bounds
    )
