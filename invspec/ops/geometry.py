"""Rotations about the image centre and translations."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Interpolation = Literal["bilinear", "nearest"]
# Outside the image: black, or the image mirrored at the outer border of its edge pixels.
Fill = Literal["zero", "reflect"]


def rotate(
    x: Tensor, degrees: Tensor, interpolation: Interpolation = "bilinear", fill: Fill = "zero"
) -> Tensor:
    """Rotate each image counter-clockwise about its centre: x (B, C, H, W), degrees (B,).

    Angles that map the pixel grid onto itself (multiples of 90 degrees for square images, of 180
    for others) only move pixels: no value is rounded, and 0 is the identity. All other angles
    resample.

    >>> rotate(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([90.0]))
    tensor([[[[2., 4.],
              [1., 3.]]]])
    """
    still = torch.zeros_like(degrees)
    return transform(x, degrees, still, still, interpolation, fill)


def transform(
    x: Tensor,
    degrees: Tensor,
    dx: Tensor,
    dy: Tensor,
    interpolation: Interpolation = "bilinear",
    fill: Fill = "zero",
) -> Tensor:
    """Rotate each image counter-clockwise, then move it dx pixels right and dy down.

    The image is resampled once, so content that the rotation moves out can move back in.
    x (B, C, H, W); degrees, dx and dy (B,). A rotation that maps the pixel grid onto itself,
    with a translation by whole pixels, only moves pixels. The result for an example does not
    depend on the other examples.
    """
    height, width = x.shape[-2:]
    period = 90 if height == width else 180
    exact = (degrees % period == 0) & (dx == dx.round()) & (dy == dy.round())
    moved = torch.empty_like(x)
    if not exact.all():
        rows = ~exact
        moved[rows] = _resample(x[rows], degrees[rows], dx[rows], dy[rows], interpolation, fill)
    for quarters in range(4):
        rows = exact & (degrees % 360 == 90 * quarters)
        if rows.any():
            moved[rows] = _shift(torch.rot90(x[rows], quarters, (2, 3)), dx[rows], dy[rows], fill)
    return moved


def _resample(
    x: Tensor, degrees: Tensor, dx: Tensor, dy: Tensor, interpolation: Interpolation, fill: Fill
) -> Tensor:
    """Read every output pixel where the inverse motion puts it.

    Coordinates are in half image sides, with y pointing down.
    """
    height, width = x.shape[-2:]
    angle = torch.deg2rad(degrees.to(x))
    shift = torch.stack([dx.to(x) * 2 / width, dy.to(x) * 2 / height], dim=1)
    cos, sin = angle.cos(), angle.sin()
    # the half sides of the two axes may differ, so the mixed terms contain their ratio
    across = torch.stack([cos, -sin * height / width], dim=1)
    down = torch.stack([sin * width / height, cos], dim=1)
    turn = torch.stack([across, down], dim=1)
    # the inverse motion: undo the shift, then turn back
    affine = torch.cat([turn, -(turn * shift[:, None]).sum(2, keepdim=True)], dim=2)
    # align_corners False: -1 and 1 are the outer edges of the image, not the centres of its pixels
    grid = F.affine_grid(affine, list(x.shape), align_corners=False)
    padding = "zeros" if fill == "zero" else "reflection"
    return F.grid_sample(x, grid, mode=interpolation, padding_mode=padding, align_corners=False)


def _shift(x: Tensor, dx: Tensor, dy: Tensor, fill: Fill) -> Tensor:
    """Move each image by whole pixels."""
    row, in_rows = _source(x.shape[2], dy.to(x.device), fill)
    column, in_columns = _source(x.shape[3], dx.to(x.device), fill)
    example = torch.arange(len(x), device=x.device)[:, None, None]
    # Indexing around the channel slice puts the channels last.
    read = x[example, :, row[:, :, None], column[:, None, :]].movedim(3, 1)
    return read.where((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0)


def _source(length: int, shift: Tensor, fill: Fill) -> tuple[Tensor, Tensor]:
    """Where to read the pixels of an axis after a shift (M,), and which of them exist.

    Both are (M, length), int64 and bool.
    """
    place = torch.arange(length, device=shift.device) - shift.long()[:, None]
    if fill == "zero":
        return place.clamp(0, length - 1), (place >= 0) & (place < length)
    # a mirrored axis repeats after twice its length
    folded = place % (2 * length)
    return folded.minimum(2 * length - 1 - folded), torch.ones_like(place, dtype=torch.bool)
