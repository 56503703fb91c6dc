"""The fast minimum-norm attack."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Number, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import margin
from invspec.ops.norms import DUAL, Metric, project, size
from invspec.ops.types import Norm
from invspec.search.fields import Rivals
from invspec.search.gradients import Objective
from invspec.search.minimal_norm import MinimalNorm, Nearest, ascent, cosine


class FMN(MinimalNorm):
    """Climb the margin by projected gradient ascent, in a ball that adapts to the boundary.

    Until an example is fooled, the ball reaches to where the linearised margin is 0. After that it
    shrinks by gamma whenever the image is adversarial, at least to the smallest distance found, and
    grows by gamma whenever it is not (Algorithm 1). Steps have l2 length step_size in every norm;
    cosines reduce it to a hundredth, and gamma to a fiftieth. A vanished gradient is replaced by a
    random direction, the same at every step.

    norm l0 counts entries, not pixels of several channels. Its ball starts with one entry and
    changes by at least one.

    Returns x_adv (B, C, H, W), which is x for examples that are misclassified already and where
    nothing was found.

    Deviates: the image after the last step is judged too, and the result is refined (`refine`). The
    ball grows by at least gamma also before an example is fooled: rounding, or pixels at the ends
    of their range, could otherwise keep x_adv on the near side of the boundary forever.
    """

    norm: Metric = Field(default="l2", description="how distance is measured: l0, l1, l2 or linf")
    steps: int = Field(default=200, ge=1, description="number of updates")
    step_size: Pixels = Field(default=1.0, gt=0, description="l2 length of the first update")
    gamma: Number = Field(
        default=0.05, gt=0, lt=1, description="relative change of the ball in the first update"
    )
    rivals: Rivals = 0

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        nearest = Nearest.begin(self, model, batch, rng, self.norm)
        for objective in nearest.objectives(margin, self.rivals):
            # The ball follows the images of this climb alone.
            climb = nearest.inner()
            self._climb(climb, objective)
            nearest.merge(climb)
        return nearest.refined(self.refine)

    def _climb(self, nearest: Nearest, objective: Objective) -> None:
        search, x, x_adv = nearest.search, nearest.search.x, nearest.search.x
        # the first step raises it, to the linearised boundary or to one entry
        eps = x.new_zeros(len(x))
        for step in range(self.steps):
            logits, gradient = search.logits_and_gradient(objective, x_adv)
            delta, adversarial = x_adv - x, logits.argmax(1) != search.y
            nearest.offer(x_adv, adversarial)
            gamma = cosine(self.gamma, self.gamma / 50, step, self.steps)
            if self.norm == "l0":
                eps = next_count(eps, gamma, adversarial, nearest)
            else:
                gap = objective(logits, search.y).to(x)
                reach = boundary(delta, gap, gradient, self.norm)
                eps = next_radius(eps, gamma, adversarial, nearest, reach)
            step_size = cosine(self.step_size, self.step_size / 100, step, self.steps)
            delta = delta + step_size * ascent(gradient, nearest.fallback)
            x_adv = nearest.valid(x + project(delta, eps, self.norm))
        nearest.judge(x_adv)


def boundary(delta: Tensor, gap: Tensor, gradient: Tensor, norm: Norm) -> Tensor:
    """Length (B,) at which delta (B, ...), extended, meets the linearised boundary.

    gap (B,) is the margin at delta, gradient (B, ...) that of the margin.
    """
    slope = size(gradient, DUAL[norm])
    return size(delta, norm) + gap.abs() / slope.clamp_min(torch.finfo(slope.dtype).tiny)


def next_radius(
    eps: Tensor, gamma: float, adversarial: Tensor, nearest: Nearest, reach: Tensor
) -> Tensor:
    """Radius (B,) of the ball after a step to images that are adversarial (B,) bool, or not."""
    smaller = (eps * (1 - gamma)).minimum(nearest.distance)
    # before the first adversarial image the ball reaches to the linearised boundary
    larger = (eps * (1 + gamma)).maximum(torch.where(nearest.found, 0, reach))
    return torch.where(adversarial, smaller, larger)


def next_count(eps: Tensor, gamma: float, adversarial: Tensor, nearest: Nearest) -> Tensor:
    """The same for l0, whose radius is a whole number."""
    # by at least one entry, because a smaller change would be rounded away
    smaller = (eps * (1 - gamma)).floor().minimum(eps - 1).minimum(nearest.distance)
    larger = (eps * (1 + gamma)).floor().maximum(eps + 1)
    return torch.where(adversarial, smaller, larger).clamp_min(0)
