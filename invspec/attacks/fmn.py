"""The fast minimum-norm attack."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Number, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import Loss, margin
from invspec.ops.norms import DUAL, Metric, project, size
from invspec.ops.types import Norm
from invspec.search.fields import Rivals
from invspec.search.gradients import Objective
from invspec.search.minimal_norm import MinimalNorm, Nearest, ascent, cosine


class FMN(MinimalNorm):
    """Maximise the margin by projected gradient ascent in a ball that adapts to the boundary.

    Until an example is misclassified, the ball extends to where the linearised margin is 0. After
    that it shrinks by gamma whenever the image is adversarial, at least to the smallest distance
    found, and grows by gamma whenever it is not (Algorithm 1). Steps have l2 length step_size in
    every norm; cosine schedules reduce step_size to a hundredth, and gamma to a fiftieth. A
    vanished gradient is replaced by a random direction, the same at every step.

    Norm l0 counts entries (values of single channels), not pixels. Its radius starts at one entry
    and changes by at least one.

    Returns x_adv (B, C, H, W): x where x is already misclassified or nothing adversarial was found.

    Deviates: the image after the last step is judged too, and the result is refined (`refine`).
    Even before an example is misclassified, the ball grows by at least gamma: otherwise rounding,
    or pixels at their bounds, could keep x_adv from ever crossing the boundary.
    """

    norm: Metric = Field(
        default="l2", description="norm of the perturbation to minimise: l0, l1, l2 or linf"
    )
    steps: int = Field(default=200, ge=1, description="number of updates")
    step_size: Pixels = Field(default=1.0, gt=0, description="l2 length of the first update")
    gamma: Number = Field(
        default=0.05, gt=0, lt=1, description="relative change of the radius in the first update"
    )
    rivals: Rivals = 0

    @property
    def gradient_loss(self) -> Loss:
        return "margin"

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        nearest = Nearest.begin(self, model, batch, rng, self.norm)
        for objective in nearest.objectives(margin, self.rivals):
            # The ball depends only on the images of this climb.
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
    """Radius (B,) of a ball that reaches the linearised boundary from delta (B, ...).

    gap (B,) is the margin at delta, and gradient (B, ...) its gradient.
    """
    slope = size(gradient, DUAL[norm])
    return size(delta, norm) + gap.abs() / slope.clamp_min(torch.finfo(slope.dtype).tiny)


def next_radius(
    eps: Tensor, gamma: float, adversarial: Tensor, nearest: Nearest, reach: Tensor
) -> Tensor:
    """The next radius (B,): smaller where the image is adversarial (B,) bool, else larger."""
    smaller = (eps * (1 - gamma)).minimum(nearest.distance)
    # before the first adversarial image the ball extends to the linearised boundary
    larger = (eps * (1 + gamma)).maximum(torch.where(nearest.found, 0, reach))
    return torch.where(adversarial, smaller, larger)


def next_count(eps: Tensor, gamma: float, adversarial: Tensor, nearest: Nearest) -> Tensor:
    """`next_radius` for l0, whose radius is a whole number."""
    # by at least one entry, because a smaller change would be rounded away
    smaller = (eps * (1 - gamma)).floor().minimum(eps - 1).minimum(nearest.distance)
    larger = (eps * (1 + gamma)).floor().maximum(eps + 1)
    return torch.where(adversarial, smaller, larger).clamp_min(0)
