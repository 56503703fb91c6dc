"""Synthetic images for `--smoke` and for tests."""

from __future__ import annotations

import math

import torch
from pydantic import ConfigDict, Field, PositiveInt, model_validator
from torch import Tensor
from torch.nn import functional as F

from invspec.data import TensorSplit
from invspec.kinds import SplitName
from invspec.kinds.generated import Generated, TestCount, TrainCount, ValCount
from invspec.ops.draws import Stream
from invspec.ops.types import Bounds, Shape


class Fake(Generated):
    """Images that are three quarters a coarse pattern of their class and one quarter noise.

    Labels cycle (0, 1, ..., K - 1, 0, ...), so that the first n examples are balanced. Images with
    bounds (0, 1) are uint8, as real images are; any other bounds give float32 in that range. A
    missing bound is taken as 2 away from the other one; if both are missing, as -1 and 1.
    """

    model_config = ConfigDict(populate_by_name=True)

    image_shape: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        default=(1, 28, 28), alias="shape", description="C, H, W of an image"
    )
    class_count: int = Field(default=10, ge=2, alias="classes", description="number of classes")
    pixel_bounds: tuple[float | None, float | None] = Field(
        default=(0.0, 1.0),
        alias="bounds",
        description="least and largest value of a pixel; null: unbounded",
    )
    train: TrainCount = 512
    val: ValCount = 64
    test: TestCount = 128
    seed: int = Field(default=0, ge=0, description="seed of the patterns and the noise")

    @model_validator(mode="after")
    def _low_below_high(self) -> Fake:
        low, high = self.bounds
        if not low < high:
            raise ValueError(f"bounds {low:g} and {high:g}: the first must be below the second")
        return self

    @property
    def shape(self) -> Shape:
        return self.image_shape

    @property
    def classes(self) -> int:
        return self.class_count

    @property
    def bounds(self) -> Bounds:
        low, high = self.pixel_bounds
        return (-math.inf if low is None else low, math.inf if high is None else high)

    def load(self, split: SplitName) -> TensorSplit:
        y = torch.arange(self.count(split)) % self.classes
        # the patterns have draws of their own, so that all splits share them
        noise = Stream(f"fake/{self.seed}/{split}").uniform((len(y), *self.shape))
        pixels = self._pixels(0.75 * self._patterns()[y] + 0.25 * noise)
        return TensorSplit(pixels, y, bounds=self.bounds)

    def _patterns(self) -> Tensor:
        """One image per class, (K, C, H, W) in [0, 1]: four by four patches, dark or light."""
        channels, height, width = self.shape
        patches = Stream(f"fake/{self.seed}").uniform(
            (self.classes, channels, min(4, height), min(4, width))
        )
        # Rounded only in part, so that no two patterns are equal.
        return F.interpolate(patches.lerp(patches.round(), 0.9), (height, width), mode="bilinear")

    def _pixels(self, values: Tensor) -> Tensor:
        """Values in [0, 1] as pixels within the bounds."""
        if self.bounds == (0.0, 1.0):
            return (values * 255).round().to(torch.uint8)
        low, high = self._range()
        return (low + (high - low) * values).clamp(low, high)

    def _range(self) -> tuple[float, float]:
        """Least and largest value: the bounds, with missing ones filled in."""
        low, high = self.pixel_bounds
        if low is None:
            return (-1.0, 1.0) if high is None else (high - 2, high)
        return (low, low + 2 if high is None else high)
