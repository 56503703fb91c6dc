"""The fast minimum-norm attack."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Number, Pixels
from invspec.ops.losses import margin
from invspec.ops.norms import DUAL, Metric, project, size
from invspec.ops.types import Norm
from invspec.search.gradients import Objective, logits_and_gradient, logits_of
from invspec.search.minimal_norm import Nearest, Walk, ascent, cosine


class FMN(Walk):
    """Climb the margin by projected gradient ascent, in a ball that adapts until x_adv lies on the boundary.

    While an example has not been fooled, the ball reaches to where the linearised margin is 0; after that it shrinks
    by gamma whenever the image is adversarial, at least to the smallest distance found, and grows by gamma whenever
    it is not (Algorithm 1). The step has l2 length step_size in every norm; cosines take it to a hundredth, and gamma
    to a fiftieth. A vanished gradient is replaced by a random direction, the same at every step.

    norm l0 counts entries, not pixels of several channels. Its ball starts with one entry, and changes by at least one.

    Returns x_adv (B, C, H, W), which is x for examples that are misclassified already and where nothing was found.

    Deviates: the image after the last step is judged too, and the answer is refined (`refine`). The ball grows by
    gamma at least also before an example is fooled: rounding, or pixels at the ends of their range, could otherwise
    keep x_adv on the boundary's near side for good.
    """

    norm: Metric = Field(default="l2", description="how distance is measured: l0, l1, l2 or linf")
    steps: int = Field(default=200, ge=1, description="number of updates")
    step_size: Pixels = Field(default=1.0, gt=0, description="l2 length of the first update")
    gamma: Number = Field(
        default=0.05, gt=0, lt=1, description="share by which the ball changes in the first update"
    )

    @property
    def _objective(self) -> Objective:
        return margin

    def _walk(
        self, model: nn.Module, batch: Batch, fallback: Tensor, objective: Objective
    ) -> Nearest:
        x, y = batch.x, batch.y
        nearest, x_adv, eps = Nearest.to(x, self.norm), x, x.new_zeros(len(x))
        for step in range(self.steps):
            logits, gradient = logits_and_gradient(model, objective, x_adv, y)
            delta, left = x_adv - x, logits.argmax(1) != y
            nearest.offer(x_adv, left)
            gamma = cosine(self.gamma, self.gamma / 50, step, self.steps)
            if self.norm == "l0":
                eps = next_count(eps, gamma, left, nearest)
            else:
                reach = boundary(delta, objective(logits, y).to(x), gradient, self.norm)
                eps = next_radius(eps, gamma, left, nearest, reach)
            delta = delta + cosine(self.step_size, self.step_size / 100, step, self.steps) * ascent(
                gradient, fallback
            )
            x_adv = self._valid(batch, x + project(delta, eps, self.norm))
        nearest.offer(x_adv, logits_of(model, x_adv).argmax(1) != y)
        return nearest


def boundary(delta: Tensor, gap: Tensor, gradient: Tensor, norm: Norm) -> Tensor:
    """Length (B,) at which delta (B, ...), made longer, meets the linearised boundary, margin gap (B,) away from it."""
    slope = size(gradient, DUAL[norm])
    return size(delta, norm) + gap.abs() / slope.clamp_min(torch.finfo(slope.dtype).tiny)


def next_radius(eps: Tensor, gamma: float, left: Tensor, nearest: Nearest, reach: Tensor) -> Tensor:
    """Radius (B,) of the ball after a step at which the prediction had left the label, (B,) bool, or had not."""
    smaller = (eps * (1 - gamma)).minimum(nearest.distance)
    larger = (eps * (1 + gamma)).maximum(torch.where(nearest.found, 0, reach))
    return torch.where(left, smaller, larger)


def next_count(eps: Tensor, gamma: float, left: Tensor, nearest: Nearest) -> Tensor:
    """The same for l0, whose radius is a whole number."""
    smaller = (eps * (1 - gamma)).floor().minimum(eps - 1).minimum(nearest.distance)
    larger = (eps * (1 + gamma)).floor().maximum(eps + 1)
    return torch.where(left, smaller, larger).clamp_min(0)
