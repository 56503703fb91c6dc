"""Images turned about their centre."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Interpolation = Literal["bilinear", "nearest"]


def rotate(x: Tensor, degrees: Tensor, interpolation: Interpolation = "bilinear", fill: float = 0.0) -> Tensor:
    """Turn each image counter-clockwise about its centre: x (B, C, H, W), degrees (B,), to (B, C, H, W).

    What comes from outside the image has the pixel value `fill`. Angles that carry the pixel grid onto itself
    (multiples of 90 degrees on square images, of 180 on others) only move pixels, so that 0 is the identity and no
    value changes by rounding; all others resample.

    >>> rotate(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([90.0]))
    tensor([[[[2., 4.],
              [1., 3.]]]])
    """
    height, width = x.shape[-2:]
    exact = degrees % (90 if height == width else 180) == 0
    turned = torch.empty_like(x)
    if not exact.all():
        turned[~exact] = _resample(x[~exact], degrees[~exact], interpolation, fill)
    for quarters in range(4):
        rows = exact & (degrees % 360 == 90 * quarters)
        if rows.any():
            turned[rows] = torch.rot90(x[rows], quarters, (2, 3))
    return turned


def _resample(x: Tensor, degrees: Tensor, interpolation: Interpolation, fill: float) -> Tensor:
    """Read every pixel of the result where the opposite rotation puts it; y points down, in units of half a side."""
    height, width = x.shape[-2:]
    angle = torch.deg2rad(degrees.to(x.dtype))
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    across = torch.stack([cos, -sin * height / width, zero], dim=1)
    down = torch.stack([sin * width / height, cos, zero], dim=1)
    grid = F.affine_grid(torch.stack([across, down], dim=1), list(x.shape), align_corners=False)
    shifted = x - fill if fill else x  # grid_sample knows no other value than 0 for what lies outside
    read = F.grid_sample(shifted, grid, mode=interpolation, padding_mode="zeros", align_corners=False)
    return read + fill if fill else read
