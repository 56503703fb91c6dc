"""The fast adaptive boundary attack, the third attack of AutoAttack."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Pixels
from invspec.ops.draws import Draws
from invspec.ops.hyperplanes import step_to_hyperplane
from invspec.ops.losses import Loss
from invspec.ops.norms import per_example, size
from invspec.ops.types import Bounds
from invspec.search.ball import eps_0_skips_model, random_direction
from invspec.search.gradients import lead_of, likeliest_others
from invspec.search.search import Search

# alpha_max: largest weight of the projection of x, relative to that of the current point
MAX_BIAS = 0.1
# eta: length of a step, in units of the distance to the linearised boundary
OVERSHOOT = 1.05
# beta: after an adversarial image, the walk continues at this share of the way to it from x
RETREAT = 0.9
# radius of the ball for restarts, unless eps or an adversarial image limits it
RESTART_RADIUS = {"linf": 0.3, "l2": 1.0}


class FAB(Attack):
    """Walk along the decision boundary towards its point nearest to x.

    Each step linearises the boundary between the true class and one other at the current point,
    projects both that point and x onto it, exactly and within the box, and overshoots from a convex
    combination of the two. An adversarial image is kept if it is the nearest so far, and the walk
    retreats from it towards x. There is one walk for each of the `targets` classes with the largest
    logits at x, apart from y (FAB-T).

    Without eps every walk takes all its steps, and the result is the nearest adversarial image.
    With eps an example stops at its first adversarial image within eps. The result is x if there is
    no such image or x is already misclassified. Restarts begin at a random image whose distance
    from x is half of eps, or half the shortest perturbation so far if that is smaller.

    Needs batch.y. Returns x_adv (B, C, H, W). eps 0 returns x without running the model.

    Deviates: targeted and without the paper's final search on the segment to x, as in AutoAttack.
    """

    eps: Pixels | None = Field(
        default=None, ge=0, description="radius of the ball; default: none, find the nearest image"
    )
    norm: Literal["linf", "l2"] = Field(
        default="linf", description="norm of the perturbation to minimise: linf or l2"
    )
    steps: int = Field(default=100, ge=1, description="number of updates per walk")
    restarts: int = Field(
        default=1, ge=1, description="walks per target class; all but the first start at random"
    )
    targets: int = Field(
        default=9, ge=1, description="number of target classes, at most classes - 1"
    )

    @property
    def gradient_loss(self) -> Loss:
        return "margin"

    @eps_0_skips_model
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search = Search(model, batch)
        logits = search.logits(batch.x)
        search.narrow(logits.argmax(1) == batch.y)
        for target in likeliest_others(logits, batch.y, self.targets).unbind(1):
            for restart in range(self.restarts):
                start = self._random_start(search, rng) if restart else search.x
                self._walk(search, start, search.pick(target))
        return search.result()

    def _random_start(self, search: Search, rng: Draws) -> Tensor:
        """A random image (M, C, H, W) for each active example."""
        # for the whole batch: an example's draws must not depend on which others are active
        noise = search.pick(random_direction(search.batch.x, self.norm, rng))
        shortest = -search.score
        radius = shortest.clamp_max(RESTART_RADIUS[self.norm] if self.eps is None else self.eps)
        x_adv = search.x + per_example(radius / 2, noise) * noise
        return x_adv.clamp(*search.batch.bounds)

    def _walk(self, search: Search, x_adv: Tensor, target: Tensor) -> None:
        """One walk: two forward passes and a backward pass per step. Scores are negated lengths."""
        for _ in range(self.steps):
            if not len(search):
                return
            _, gap, normal = search.evaluate(lead_of(target), x_adv)
            x_adv = step(search.x, x_adv, gap, normal, search.batch.bounds, self.norm)
            crossed = search.logits(x_adv).argmax(1) != search.y
            length = size(x_adv - search.x, self.norm)
            if self.eps is None:
                search.offer(x_adv, -length, among=crossed)
            retreat = search.x + RETREAT * (x_adv - search.x)
            onwards = torch.where(per_example(crossed, x_adv), retreat, x_adv)
            # without eps no example leaves, since no misclassified image has length 0
            within = crossed & (length <= (self.eps or 0))
            stay = search.narrow(~within, x_adv)
            x_adv, target = (onwards, target) if stay is None else (onwards[stay], target[stay])


def step(
    x: Tensor,
    x_adv: Tensor,
    gap: Tensor,
    normal: Tensor,
    bounds: Bounds,
    norm: Literal["linf", "l2"],
) -> Tensor:
    """The next image (M, C, H, W) of a walk around x.

    gap (M,) is the lead of the target at x_adv, and normal (M, C, H, W) its gradient.
    """
    # the linearised lead, evaluated at x
    gap_at_x = gap + (normal * (x - x_adv)).flatten(1).sum(1)
    onwards = step_to_hyperplane(x_adv, gap, normal, bounds, norm)
    from_x = step_to_hyperplane(x, gap_at_x, normal, bounds, norm)
    # at least 1e-8, so that the quotient is defined where both are 0
    length, length_at_x = (size(delta, norm).clamp_min(1e-8) for delta in (onwards, from_x))
    # the nearer x_adv is to the boundary, relative to x, the less it is pulled back to x
    bias = per_example((length / (length + length_at_x)).clamp_max(MAX_BIAS), x)
    moved = (1 - bias) * (x_adv + OVERSHOOT * onwards) + bias * (x + OVERSHOOT * from_x)
    return moved.clamp(*bounds)
