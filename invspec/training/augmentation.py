"""Random changes of training images: boxes, shifts, mirroring, contrast, noise below one pixel level."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from invspec.ops.draws import Stream
from invspec.ops.norms import per_example
from invspec.ops.types import Bounds


def enlarged(x: Tensor, shares: tuple[float, float], rng: Stream) -> Tensor:
    """Enlarge a random box of each image of x (B, C, H, W) to the whole, bilinear.

    Its share of the area is uniform between the two shares, the logarithm of its aspect ratio, beside the image's own,
    between those of 3:4 and 4:3, its place uniform; a side longer than the image is cut to it.

    Deviates from the usual recipe for ImageNet, which cuts the box from the photo: here it is cut from what the data
    set gives, the photo's centre.
    """
    area, aspect, across, down = rng.uniform((len(x), 4)).to(x.device).unbind(1)
    area, aspect = shares[0] + (shares[1] - shares[0]) * area, (4 / 3) ** (2 * aspect - 1)
    width, height = (area * aspect).sqrt().clamp_max(1), (area / aspect).sqrt().clamp_max(1)
    none = torch.zeros_like(width)
    right, below = (1 - width) * (2 * across - 1), (1 - height) * (2 * down - 1)
    affine = torch.stack([width, none, right, none, height, below], dim=1).view(
        -1, 2, 3
    )  # units: half a side
    grid = F.affine_grid(affine.to(x.dtype), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def shifted(x: Tensor, most: int, rng: Stream) -> Tensor:
    """Move each image of x (B, C, H, W) by -most..most pixels down and across; zeros come in at the border."""
    (size, _, height, width), padded = x.shape, F.pad(x, [most] * 4)
    down, across = rng.integers(2 * most + 1, (2, size, 1)).to(x.device)
    rows, columns = (
        (down + torch.arange(height, device=x.device)),
        (across + torch.arange(width, device=x.device)),
    )
    images = torch.arange(size, device=x.device)[:, None, None]
    return (
        padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]]
        .permute(0, 3, 1, 2)
        .contiguous()
    )


def mirrored(x: Tensor, rng: Stream) -> Tensor:
    """Mirror each image of x (B, C, H, W) left to right with probability one half."""
    chosen = rng.integers(2, (len(x),)).bool().to(x.device)
    return torch.where(per_example(chosen, x), x.flip(3), x)


def contrasted(x: Tensor, most: float, bounds: Bounds, rng: Stream) -> Tensor:
    """Scale each image of x (B, C, H, W) about its mean by a factor uniform in [1 - most, 1 + most], within bounds."""
    factor = per_example(1 + most * (2 * rng.uniform((len(x),)).to(x.device) - 1), x)
    mean = x.mean((1, 2, 3), keepdim=True)
    return (mean + factor * (x - mean)).clamp(*bounds)


def dequantised(x: Tensor, rng: Stream) -> Tensor:
    """Images x of 256 levels, 0, 1 / 255, ..., 1, as densities want them: level k uniform in [k, k + 1) / 256."""
    return (255 * x + rng.uniform(tuple(x.shape)).to(x.device)) / 256
