"""Rotations about the image centre and translations."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from invspec.ops.norms import per_example

Interpolation = Literal["bilinear", "nearest"]
# Outside the image: black, or the image mirrored at the outer border of its edge pixels.
Fill = Literal["zero", "reflect"]
# In a shift by whole pixels, also: what leaves the image on the other side.
Outside = Literal["zero", "reflect", "wrap"]


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


def shift(x: Tensor, right: Tensor, down: Tensor, fill: Outside = "zero") -> Tensor:
    """Move each image by whole pixels: x (B, C, H, W); right and down (B,) int64.

    >>> shift(torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.tensor([1]), torch.tensor([0]), "wrap")
    tensor([[[[3., 1., 2.]]]])
    """
    height, width = x.shape[-2:]
    row, in_rows = _source(height, down.to(x.device), fill)
    column, in_columns = _source(width, right.to(x.device), fill)
    return _read(
        x,
        width * row[:, :, None] + column[:, None, :],
        in_rows[:, :, None] & in_columns[:, None, :],
    )


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

    Never waits for a device. Motions given on the CPU are sorted there, which is faster; those on
    a device are computed both ways.
    """
    height, width = x.shape[-2:]
    period = 90 if height == width else 180
    exact = (degrees % period == 0) & (dx == dx.round()) & (dy == dy.round())
    if exact.device.type != "cpu" and len(x):
        moved = _move(x, degrees, dx, dy, exact, fill)
        return moved.where(
            per_example(exact, x), _resample(x, degrees, dx, dy, interpolation, fill)
        )
    if exact.all():
        return _move(x, degrees, dx, dy, exact, fill)
    if not exact.any():
        return _resample(x, degrees, dx, dy, interpolation, fill)
    moved, rows, others = torch.empty_like(x), *(part.nonzero()[:, 0] for part in (exact, ~exact))
    moved[rows] = _move(x[rows], degrees[rows], dx[rows], dy[rows], exact[rows], fill)
    moved[others] = _resample(
        x[others], degrees[others], dx[others], dy[others], interpolation, fill
    )
    return moved


def _resample(
    x: Tensor, degrees: Tensor, dx: Tensor, dy: Tensor, interpolation: Interpolation, fill: Fill
) -> Tensor:
    """Read every output pixel where the inverse motion puts it.

    Coordinates are in half image sides, with y pointing down.
    """
    height, width = x.shape[-2:]
    degrees, dx, dy = torch.stack([degrees, dx, dy]).to(x).unbind()
    angle = torch.deg2rad(degrees)
    shift = torch.stack([dx * 2 / width, dy * 2 / height], dim=1)
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


def _move(x: Tensor, degrees: Tensor, dx: Tensor, dy: Tensor, exact: Tensor, fill: Fill) -> Tensor:
    """Turn each image by quarters and move it by whole pixels, where exact (B,) is true.

    Other images stay as they are.
    """
    height, width = x.shape[-2:]
    row, in_rows = _source(height, dy.where(exact, 0).to(x.device), fill)
    column, in_columns = _source(width, dx.where(exact, 0).to(x.device), fill)
    turns = _turns(height, width).to(degrees.device)[(degrees % 360).where(exact, 0).long() // 90]
    start, down, across = turns.to(x.device)[:, :, None].unbind(1)
    places = (start + down * row)[:, :, None] + (across * column)[:, None, :]
    return _read(x, places, in_rows[:, :, None] & in_columns[:, None, :])


def _read(x: Tensor, places: Tensor, exists: Tensor) -> Tensor:
    """Images that read places (B, H, W) of the flattened x, black where there is none."""
    channels = x.shape[1]
    read = x.flatten(2).gather(2, places.flatten(1)[:, None].expand(-1, channels, -1)).view(x.shape)
    return read.where(exists[:, None], 0)


def _turns(height: int, width: int) -> Tensor:
    """Where the pixels of an image after 0 to 3 quarter turns come from, (4, 3) int64.

    In the flattened image, pixel (row, column) comes from start + down * row + across * column.
    """
    last = height * width - 1
    return torch.tensor(
        [
            [0, width, 1],
            [width - 1, -1, width],
            [last, -width, -1],
            [last - width + 1, 1, -width],
        ]
    )


def _source(length: int, shift: Tensor, fill: Outside) -> tuple[Tensor, Tensor]:
    """Where to read the pixels of an axis after a shift (M,), and which of them exist.

    Both are (M, length), int64 and bool.
    """
    place = torch.arange(length, device=shift.device) - shift.long()[:, None]
    if fill == "zero":
        return place.clamp(0, length - 1), (place >= 0) & (place < length)
    if fill == "wrap":
        return place % length, torch.ones_like(place, dtype=torch.bool)
    # a mirrored axis repeats after twice its length
    folded = place % (2 * length)
    return folded.minimum(2 * length - 1 - folded), torch.ones_like(place, dtype=torch.bool)
