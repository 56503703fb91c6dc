"""Random changes of training images."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, model_validator
from torch import Tensor

from invspec.data import Batch
from invspec.errors import InvspecError
from invspec.kinds import Degrees, Number
from invspec.ops.draws import Stream
from invspec.ops.geometry import Fill, Interpolation, rotate
from invspec.ops.norms import per_example
from invspec.ops.types import Bounds
from invspec.training.fields import Dequantise, Share


class Augmentation(BaseModel):
    """Fields of a recipe that set the augmentation of images, and the augmentation itself.

    In this order: enlarge a random box to the whole image, shift, mirror, rotate, change the
    contrast, dequantise. All of these are drawn anew for every image and epoch; those switched off
    draw nothing.
    """

    resized_crop: tuple[Share, Share] | None = Field(
        default=None,
        description="crop a random box and resize it to the whole image (bilinear): smallest "
        "and largest share of the area, [0.08, 1] for ImageNet; aspect ratios are 3:4 to 4:3",
    )
    crop: int = Field(
        default=0,
        ge=0,
        description="shift images by up to this many pixels each way, padding with zeros",
    )
    flip: bool = Field(default=False, description="mirror each image with probability one half")
    contrast: Number = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="scale each image about its mean by a factor in [1 - contrast, 1 + contrast]",
    )
    dequantise: Dequantise = False
    max_degrees: Degrees = Field(
        default=0.0, ge=0, le=180, description="half-width of random rotations, in degrees"
    )
    interpolation: Interpolation = Field(
        default="bilinear", description="interpolation of rotations: bilinear or nearest"
    )
    fill: Fill = Field(
        default="zero",
        description="pixels that rotations bring in: zero, or the image reflected at its edge",
    )

    @model_validator(mode="after")
    def _boxes_from_small_to_large(self) -> Self:
        crop = self.resized_crop
        if crop is not None and crop[0] > crop[1]:
            raise ValueError(f"expected resized_crop as [smallest, largest], found {list(crop)}")
        return self

    def augment(self, batch: Batch, rng: Stream) -> Batch:
        """The batch with its images x (B, C, H, W) changed at random."""
        x = batch.x if self.resized_crop is None else enlarged(batch.x, self.resized_crop, rng)
        x = self._shifted(x, rng) if self.crop else x
        x = mirrored(x, rng) if self.flip else x
        x = self._rotated(x, rng) if self.max_degrees else x
        x = contrasted(x, self.contrast, batch.bounds, rng) if self.contrast else x
        return replace(batch, x=dequantised(x, rng) if self.dequantise else x)

    def _shifted(self, x: Tensor, rng: Stream) -> Tensor:
        return shifted(x, self.crop, rng)

    def _rotated(self, x: Tensor, rng: Stream) -> Tensor:
        degrees = self.max_degrees * (2 * rng.uniform((len(x),)) - 1)
        # left on the CPU, where `rotate` sorts angles without waiting for a device
        return rotate(x, degrees, interpolation=self.interpolation, fill=self.fill)


def enlarged(x: Tensor, shares: tuple[float, float], rng: Stream) -> Tensor:
    """Enlarge a random box of each image of x (B, C, H, W) to the whole image, bilinear.

    The box's share of the area is uniform between the two shares, the logarithm of its aspect
    ratio, relative to the image's, uniform between log 3/4 and log 4/3. Its position is uniform. A
    side longer than the image is cut to the image.

    Deviates from the usual recipe for ImageNet, which cuts the box from the photo: here it is cut
    from the data set's image, the centre of the photo.
    """
    area, aspect, across, down = rng.uniform((len(x), 4)).to(x.device).unbind(1)
    area, aspect = shares[0] + (shares[1] - shares[0]) * area, (4 / 3) ** (2 * aspect - 1)
    width, height = (area * aspect).sqrt().clamp_max(1), (area / aspect).sqrt().clamp_max(1)
    zero = torch.zeros_like(width)
    right, below = (1 - width) * (2 * across - 1), (1 - height) * (2 * down - 1)
    # affine_grid measures in half sides of the image, from its centre
    affine = torch.stack([width, zero, right, zero, height, below], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(affine.to(x.dtype), list(x.shape), align_corners=False)
    # border: samples within half a pixel of the edge read the edge, not black
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def shifted(x: Tensor, max_shift: int, rng: Stream, fill: Fill = "zero") -> Tensor:
    """Shift each image of x (B, C, H, W) by up to max_shift pixels each way.

    Pixels that come in are 0, or those of the image reflected at its edge, which is not repeated.

    Raises: InvspecError if a side is too short to reflect so many pixels.
    """
    if fill == "reflect" and min(x.shape[2:]) <= max_shift:
        raise InvspecError(
            f"shifts by up to {max_shift} pixels with fill reflect need larger images, found "
            f"{x.shape[2]}x{x.shape[3]} pixels",
            hint="lower crop, or set fill: zero",
        )
    mode = "constant" if fill == "zero" else "reflect"
    (size, _, height, width), padded = x.shape, F.pad(x, [max_shift] * 4, mode=mode)
    down, across = rng.integers(2 * max_shift + 1, (2, size, 1)).to(x.device)
    rows = down + torch.arange(height, device=x.device)
    columns = across + torch.arange(width, device=x.device)
    images = torch.arange(size, device=x.device)[:, None, None]
    # channels last, so that one index takes all channels of a pixel
    pixels = padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]]
    return pixels.permute(0, 3, 1, 2).contiguous()


def mirrored(x: Tensor, rng: Stream) -> Tensor:
    """Mirror each image of x (B, C, H, W) left to right with probability one half."""
    chosen = rng.integers(2, (len(x),)).bool().to(x.device)
    return torch.where(per_example(chosen, x), x.flip(3), x)


def contrasted(x: Tensor, contrast: float, bounds: Bounds, rng: Stream) -> Tensor:
    """Scale each image of x (B, C, H, W) about its mean, then clamp it to bounds.

    The factor is uniform in [1 - contrast, 1 + contrast].
    """
    factor = per_example(1 + contrast * (2 * rng.uniform((len(x),)).to(x.device) - 1), x)
    mean = x.mean((1, 2, 3), keepdim=True)
    return (mean + factor * (x - mean)).clamp(*bounds)


def dequantised(x: Tensor, rng: Stream) -> Tensor:
    """Spread the 256 levels k / 255 uniformly over [k, k + 1) / 256, for a density model."""
    return (255 * x + rng.uniform(tuple(x.shape)).to(x.device)) / 256
