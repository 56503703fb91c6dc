"""One transform for all images: a rotation, a shift, or a permutation of the pixels."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Degrees
from invspec.ops.draws import Draws, Stream
from invspec.ops.geometry import Fill, Interpolation, Outside, rotate, shift


class FixedTransform(Attack):
    """Base class of transforms T that are the same for every image. The model is not run."""

    ignores_model: ClassVar[bool] = True

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        # resampling may round to more than 1
        x_adv = self.transformed(batch.x).clamp(*batch.bounds)
        return Perturbed.costing(x_adv, forwards=0, backwards=0)

    @abstractmethod
    def transformed(self, x: Tensor) -> Tensor:
        """T of images x (B, C, H, W)."""


class FixedRotation(FixedTransform):
    """Rotate every image counter-clockwise by the same angle.

    Quarter turns of square images permute the pixels, and are exact. Returns x_adv (B, C, H, W).
    """

    degrees: Degrees = Field(default=90.0, ge=-360, le=360, description="angle of the rotation")
    interpolation: Interpolation = Field(
        default="bilinear", description="resampling: bilinear or nearest"
    )
    fill: Fill = Field(
        default="zero", description="pixels from outside the image: zero (black) or reflect"
    )

    def transformed(self, x: Tensor) -> Tensor:
        angle = torch.full((len(x),), self.degrees)
        return rotate(x, angle, self.interpolation, self.fill)


class FixedShift(FixedTransform):
    """Move every image by the same number of whole pixels.

    With fill wrap, what leaves the image on one side comes back on the other: a permutation of the
    pixels. Returns x_adv (B, C, H, W).
    """

    right: int = Field(default=3, strict=True, description="pixels to the right; left if negative")
    down: int = Field(default=0, strict=True, description="pixels down; up if negative")
    fill: Outside = Field(
        default="zero", description="pixels from outside the image: zero (black), reflect or wrap"
    )

    def transformed(self, x: Tensor) -> Tensor:
        right, down = (torch.full((len(x),), by) for by in (self.right, self.down))
        return shift(x, right, down, self.fill)


class FixedPermutation(FixedTransform):
    """Permute the pixels of every image in the same way, all channels of a pixel together.

    The permutation is drawn uniformly from those of `pixels` pixels, which are drawn as well; it
    depends on the seed and on the size of the images. Returns x_adv (B, C, H, W).
    """

    pixels: int | None = Field(
        default=None, ge=2, strict=True, description="number of permuted pixels; default: all"
    )
    seed: int = Field(default=0, ge=0, strict=True, description="seed of the permutation")

    def transformed(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        places = self._places(height, width).to(x.device)
        return x.flatten(2)[..., places].view_as(x)

    def _places(self, height: int, width: int) -> Tensor:
        """Where each pixel of the result comes from, (H * W,) int64."""
        stream = Stream(f"fixed_permutation/{self.seed}/{height}x{width}")
        total = height * width
        moved = stream.permutation(total)[: self.pixels]
        places = torch.arange(total)
        places[moved] = moved[stream.permutation(len(moved))]
        return places
