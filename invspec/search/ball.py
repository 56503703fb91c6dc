"""The set in which an attack searches: valid images within eps of x."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example, project, size, steepest
from invspec.ops.types import Bounds, Norm
from invspec.search.search import Search


@dataclass(frozen=True)
class Ball:
    """Valid images within eps of x in a norm, for any x (B, C, H, W).

    unit is one unit of eps in pixels, broadcastable to x; None if eps is in pixels. It is
    (1, C, 1, 1) for a standardising model.
    """

    norm: Norm
    eps: float
    bounds: Bounds
    unit: Tensor | None = None

    def start(self, x: Tensor, rng: Draws) -> Tensor:
        """A random image (B, C, H, W) of the ball, as a new tensor.

        linf: uniform in the ball. l2 and l1: an isotropic direction and a uniform length.
        """
        if self.norm == "linf":
            noise = self.eps * (2 * rng.uniform(tuple(x.shape)).to(x) - 1)
        else:
            noise = rng.normal(tuple(x.shape)).to(x)
            length = self.eps * rng.uniform((len(x),)).to(x)
            noise = at_length(noise, length, self.norm)
        if self.unit is not None:
            noise.mul_(self.unit)
        return noise.add_(x).clamp_(*self.bounds)

    def step(self, x_adv: Tensor, gradient: Tensor, x: Tensor, length: float | Tensor) -> Tensor:
        """Move x_adv along the steepest ascent by length, (B,) or a number, and project it."""
        length = per_example(length, x) if isinstance(length, Tensor) else length
        return self.project(x_adv + length * steepest(gradient, self.norm), x)

    def project(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Project x_adv onto the ball around x, then clamp it, which does not leave the ball."""
        delta = project(self._measured(x_adv - x), self.eps, self.norm)
        return (x + (delta if self.unit is None else delta * self.unit)).clamp(*self.bounds)

    def contains(self, x_adv: Tensor, x: Tensor, slack: float = 0.0) -> Tensor:
        """Which images are valid and within eps + slack of x, (B,) bool; slack in units of eps."""
        low, high = self.bounds
        valid = ((x_adv >= low) & (x_adv <= high)).flatten(1).all(1)
        return valid & (size(self._measured(x_adv - x), self.norm) <= self.eps + slack)

    def _measured(self, delta: Tensor) -> Tensor:
        """A perturbation (B, C, H, W) in pixels, converted to units of eps."""
        return delta if self.unit is None else delta / self.unit


def at_length(noise: Tensor, length: Tensor, norm: Norm) -> Tensor:
    """Noise (B, ...) rescaled to length (B,)."""
    return noise * per_example(length / size(noise, norm), noise)


def random_direction(x: Tensor, norm: Norm, rng: Draws) -> Tensor:
    """Noise shaped like x, of length 1: a scaled uniform draw for linf, else isotropic."""
    shape = tuple(x.shape)
    noise = (2 * rng.uniform(shape) - 1 if norm == "linf" else rng.normal(shape)).to(x)
    return noise / per_example(size(noise, norm), noise)


def can_move(x: Tensor, gradient: Tensor, bounds: Bounds, gap: float | Tensor = 0.0) -> Tensor:
    """Which entries are more than gap away from the bound that their gradient points to.

    gap is (B, 1, 1, 1) or a number.
    """
    low, high = bounds
    return torch.where(gradient > 0, x < high - gap, x > low + gap)


def eps_0_skips_model(perturb: Callable[..., Perturbed]) -> Callable[..., Perturbed]:
    """Decorator for `perturb` of attacks with eps: eps 0 returns x without running the model."""

    @wraps(perturb)
    def skipping(attack: Any, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if attack.eps == 0:
            return Search(model, batch).result()
        return perturb(attack, model, batch, rng)

    return skipping
