"""The set in which an attack searches."""

from __future__ import annotations

import torch
from torch import Tensor

from invspec.ops.draws import Draws
from invspec.ops.norms import per_example, size
from invspec.ops.types import Bounds, Norm


def random_in_ball(x: Tensor, eps: float, norm: Norm, rng: Draws) -> Tensor:
    """Noise of the shape of x: uniform in the linf ball; else of isotropic direction and uniform length."""
    if norm == "linf":
        return eps * (2 * rng.uniform(tuple(x.shape)).to(x) - 1)
    direction = rng.normal(tuple(x.shape)).to(x)
    length = eps * rng.uniform((len(x),)).to(x)
    return direction * per_example(length / size(direction, norm), direction)


def can_move(x: Tensor, gradient: Tensor, bounds: Bounds, gap: float | Tensor = 0.0) -> Tensor:
    """Which pixels are further than gap, a number or (B, 1, 1, 1), from the bound that their gradient points to."""
    low, high = bounds
    return torch.where(gradient > 0, x < high - gap, x > low + gap)
