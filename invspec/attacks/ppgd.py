"""Perceptual projected gradient descent."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from invspec.ops.losses import margin
from invspec.ops.norms import per_example, size, steepest
from invspec.perceptual.attack import FeatureProbe, PerceptualAttack

# The loss counts the margin up to this value.
_MAX_MARGIN = 1.0
# l2 length, in pixels, of the step of the finite difference of features.
_AHEAD = 1e-3


class PPGD(PerceptualAttack):
    """Maximise the margin, capped at 1, by steps whose length is measured in features.

    To first order, the best step of a given length solves J'J v = gradient, where J is the Jacobian
    of the features. A few iterations of conjugate gradients solve it approximately; J v is a finite
    difference of features, and J' v a backward pass. Each step has length 2 * radius / steps, and
    its result is projected into the ball.

    Deviates: J v is a finite difference over an l2 length of 0.001 along v; the published code
    takes it over v itself, whose length depends on the scale of the logits. For the same reason the
    gradient is normalised here.
    """

    steps: int = Field(default=5, ge=1, description="number of updates")
    cg_iterations: int = Field(
        default=5, ge=1, description="iterations of conjugate gradients per update"
    )

    def _search(self, probe: FeatureProbe, x_adv: Tensor) -> Tensor:
        for _ in range(self.steps):
            x_adv = self._projected(probe, self._moved(probe, x_adv))
        return x_adv

    def _moved(self, probe: FeatureProbe, x_adv: Tensor) -> Tensor:
        """Each image after one step."""
        images = x_adv.detach().requires_grad_()
        logits, features = probe.logits_and_features(images)
        loss = margin(logits, probe.batch.y).clamp_max(_MAX_MARGIN)
        gradient = probe.gradient(loss, images)
        jacobian = Jacobian(probe, images, features)
        step, change = conjugate_gradients(jacobian, steepest(gradient, "l2"), self.cg_iterations)
        # change is J step, so this is the length of the step in features, to first order
        length = 2 * self._radius / self.steps / (size(change, "l2") + 1e-8)
        moved = images.detach() + per_example(length, step) * step
        return moved.clamp(*probe.batch.bounds)


class Jacobian:
    """J, the Jacobian at images (B, C, H, W) of features (B, D) with their graph."""

    def __init__(self, probe: FeatureProbe, images: Tensor, features: Tensor) -> None:
        self.probe, self.images, self.output = probe, images, features
        self.here, self.features = images.detach(), features.detach()

    def change(self, v: Tensor) -> Tensor:
        """J v, (B, C, H, W) to (B, D)."""
        length = per_example(size(v, "l2"), v)
        ahead = self.probe.features(self.here + _AHEAD * steepest(v, "l2"))
        return (ahead - self.features) / _AHEAD * length.flatten(1)

    def back(self, change: Tensor) -> Tensor:
        """J' change, (B, D) to (B, C, H, W)."""
        return self.probe.vjp(change, self.output, self.images)


def conjugate_gradients(
    jacobian: Jacobian, target: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """An approximate solution v (B, C, H, W) of J'J v = target, and J v (B, D)."""
    v, change = torch.zeros_like(target), torch.zeros_like(jacobian.features)
    residual = direction = target
    squared = _dot(residual, residual)
    for _ in range(iterations):
        j_direction = jacobian.change(direction)
        jtj_direction = jacobian.back(j_direction)
        length = _ratio(squared, _dot(direction, jtj_direction))
        v = v + per_example(length, v) * direction
        change = change + length[:, None] * j_direction
        residual = residual - per_example(length, v) * jtj_direction
        previous, squared = squared, _dot(residual, residual)
        direction = residual + per_example(_ratio(squared, previous), v) * direction
    return v, change


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """above / below, (B,), or 0 where below is not positive."""
    # below is 0 for examples that are solved, and for those whose features do not change
    return torch.where(below > 0, above / below.clamp_min(torch.finfo(below.dtype).tiny), 0)
