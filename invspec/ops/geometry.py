"""Images turned about their centre and moved."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Interpolation = Literal["bilinear", "nearest"]
Fill = Literal[
    "zero", "reflect"
]  # beyond the edge: black, or the image mirrored at the outer side of its edge pixels


def rotate(
    x: Tensor, degrees: Tensor, interpolation: Interpolation = "bilinear", fill: Fill = "zero"
) -> Tensor:
    """Turn each image counter-clockwise about its centre: x (B, C, H, W), degrees (B,), to (B, C, H, W).

    Angles that carry the pixel grid onto itself (multiples of 90 degrees on square images, of 180 on others) only
    move pixels, so that 0 is the identity and no value changes by rounding; all others resample.

    >>> rotate(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([90.0]))
    tensor([[[[2., 4.],
              [1., 3.]]]])
    """
    still = torch.zeros_like(degrees)
    return transform(x, degrees, still, still, interpolation, fill)


def translate(
    x: Tensor,
    dx: Tensor,
    dy: Tensor,
    interpolation: Interpolation = "bilinear",
    fill: Fill = "zero",
) -> Tensor:
    """Move each image by dx pixels to the right and dy down, (B,) each; whole pixels move without rounding.

    >>> translate(torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.tensor([1.0]), torch.tensor([0.0]))
    tensor([[[[0., 1., 2.]]]])
    """
    return transform(x, torch.zeros_like(dx), dx, dy, interpolation, fill)


def transform(
    x: Tensor,
    degrees: Tensor,
    dx: Tensor,
    dy: Tensor,
    interpolation: Interpolation = "bilinear",
    fill: Fill = "zero",
) -> Tensor:
    """translate(rotate(x, degrees), dx, dy), resampled once: what a turn puts outside can move in again.

    x (B, C, H, W); degrees, dx and dy (B,). A turn that carries the pixel grid onto itself, with a shift by whole
    pixels, only moves pixels; an example's result does not depend on the others.
    """
    height, width = x.shape[-2:]
    exact = (
        (degrees % (90 if height == width else 180) == 0) & (dx == dx.round()) & (dy == dy.round())
    )
    moved = torch.empty_like(x)
    if not exact.all():
        rest = ~exact
        moved[rest] = _resample(x[rest], degrees[rest], dx[rest], dy[rest], interpolation, fill)
    for quarters in range(4):
        rows = exact & (degrees % 360 == 90 * quarters)
        if rows.any():
            moved[rows] = _shift(torch.rot90(x[rows], quarters, (2, 3)), dx[rows], dy[rows], fill)
    return moved


def _resample(
    x: Tensor, degrees: Tensor, dx: Tensor, dy: Tensor, interpolation: Interpolation, fill: Fill
) -> Tensor:
    """Read every pixel of the result where the opposite motion puts it; y points down, in units of half a side."""
    height, width = x.shape[-2:]
    angle = torch.deg2rad(degrees.to(x))
    shift = torch.stack([dx.to(x) * 2 / width, dy.to(x) * 2 / height], dim=1)
    cos, sin = angle.cos(), angle.sin()
    across = torch.stack([cos, -sin * height / width], dim=1)
    down = torch.stack([sin * width / height, cos], dim=1)
    turn = torch.stack([across, down], dim=1)
    affine = torch.cat([turn, -(turn * shift[:, None]).sum(2, keepdim=True)], dim=2)
    grid = F.affine_grid(affine, list(x.shape), align_corners=False)
    padding = "zeros" if fill == "zero" else "reflection"
    return F.grid_sample(x, grid, mode=interpolation, padding_mode=padding, align_corners=False)


def _shift(x: Tensor, dx: Tensor, dy: Tensor, fill: Fill) -> Tensor:
    """Move each image by whole pixels."""
    row, in_rows = _source(x.shape[2], dy.to(x.device), fill)
    column, in_columns = _source(x.shape[3], dx.to(x.device), fill)
    example = torch.arange(len(x), device=x.device)[:, None, None]
    read = x[example, :, row[:, :, None], column[:, None, :]].movedim(3, 1)
    return read.where((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0)


def _source(length: int, shift: Tensor, fill: Fill) -> tuple[Tensor, Tensor]:
    """Where the pixels of an axis are read after a shift (M,), int64 (M, length), and whether they are filled."""
    place = torch.arange(length, device=shift.device) - shift.long()[:, None]
    if fill == "zero":
        return place.clamp(0, length - 1), (place >= 0) & (place < length)
    folded = place % (2 * length)
    return folded.minimum(2 * length - 1 - folded), torch.ones_like(place, dtype=torch.bool)
