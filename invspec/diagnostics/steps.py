"""Small steps along the signs of a gradient, and along random signs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from invspec.data import Batch, Bounds
from invspec.ops.draws import Draws

# the number of grey levels between the ends of the range
LEVELS = 255


def grey_level(batch: Batch) -> float:
    """1/255 of the range of pixels, or of the images where pixels are unbounded."""
    low, high = batch.bounds
    if not has_box(batch.bounds):
        low, high = batch.x.min().item(), batch.x.max().item()
    return (high - low) / LEVELS


def has_box(bounds: Bounds) -> bool:
    """Whether pixels are bounded on both sides."""
    return all(map(math.isfinite, bounds))


def moved(batch: Batch, direction: Tensor, length: float) -> Tensor:
    """Images (B, C, H, W) moved by length along the signs of a direction, within the bounds."""
    return (batch.x + length * direction.sign()).clamp(*batch.bounds)


def random_signs(x: Tensor, rng: Draws) -> Tensor:
    """-1 or 1 for each pixel of x (B, C, H, W)."""
    return torch.where(rng.uniform(tuple(x.shape)).to(x) < 0.5, -1.0, 1.0)
