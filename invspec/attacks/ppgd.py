"""Perceptual projected gradient descent."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from invspec.ops.losses import margin
from invspec.ops.norms import per_example, size, steepest
from invspec.perceptual.attack import FeatureProbe, PerceptualAttack

_CONFIDENT = 1.0  # lead of a wrong logit from which there is nothing to climb
_AHEAD = 1e-3  # length in pixels, l2, over which features are compared to tell how fast they change


class PPGD(PerceptualAttack):
    """Climb the lead of a wrong class, up to 1, by steps whose length is measured in features.

    To first order the best step of a given length solves J'J v = gradient, where J is the Jacobian of the features: a
    few iterations of conjugate gradients, in which J v is a difference of features and J' v is backpropagated. Each
    step is 2 * radius / steps long and is projected.

    Deviates: J v is a difference over 0.001 pixels of l2 in the direction of v, whose own length in the published code
    depends on the scale of the logits; for the same reason the gradient is brought to unit length.
    """

    steps: int = Field(default=5, ge=1, description="number of updates")
    cg_iterations: int = Field(
        default=5, ge=1, description="conjugate gradients' iterations for one update"
    )

    def _search(self, eye: FeatureProbe, x_adv: Tensor) -> Tensor:
        for _ in range(self.steps):
            x_adv = self._projected(eye, self._moved(eye, x_adv))
        return x_adv

    def _moved(self, eye: FeatureProbe, x_adv: Tensor) -> Tensor:
        """Each image after one step."""
        images, rows = x_adv.detach().requires_grad_(), eye.everyone
        logits, features = eye.look(images, rows)
        lead = margin(logits, eye.batch.y).clamp_max(_CONFIDENT)
        gradient = eye.gradient(lead, images, rows)
        jacobian = Jacobian(eye, images, features)
        step, change = conjugate_gradients(jacobian, steepest(gradient, "l2"), self.cg_iterations)
        length = 2 * self._radius / self.steps / (size(change, "l2") + 1e-8)
        return (images.detach() + per_example(length, step) * step).clamp(*eye.batch.bounds)


class Jacobian:
    """J of the features (B, D), which have a graph, at images (B, C, H, W)."""

    def __init__(self, eye: FeatureProbe, images: Tensor, features: Tensor) -> None:
        self.eye, self.images, self.output = eye, images, features
        self.here, self.features = images.detach(), features.detach()

    def change(self, v: Tensor) -> Tensor:
        """J v, (B, C, H, W) to (B, D)."""
        length = per_example(size(v, "l2"), v)
        ahead = self.eye.features(self.here + _AHEAD * steepest(v, "l2"), self.eye.everyone)
        return (ahead - self.features) / _AHEAD * length.flatten(1)

    def back(self, change: Tensor) -> Tensor:
        """J' change, (B, D) to (B, C, H, W)."""
        return self.eye.pulled_back(change, self.output, self.images, self.eye.everyone)


def conjugate_gradients(
    jacobian: Jacobian, target: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """v (B, C, H, W) that nearly solves J'J v = target, and J v (B, D)."""
    v, change = torch.zeros_like(target), torch.zeros_like(jacobian.features)
    residual = direction = target
    squared = _dot(residual, residual)
    for _ in range(iterations):
        moved = jacobian.change(direction)
        image = jacobian.back(moved)
        length = _ratio(squared, _dot(direction, image))
        v = v + per_example(length, v) * direction
        change = change + length[:, None] * moved
        residual = residual - per_example(length, v) * image
        before, squared = squared, _dot(residual, residual)
        direction = residual + per_example(_ratio(squared, before), v) * direction
    return v, change


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """above / below, (B,); 0 where below is not positive: a solved example, or one that cannot be moved, stays."""
    return torch.where(below > 0, above / below.clamp_min(torch.finfo(below.dtype).tiny), 0)
