"""Made-up images: what `--smoke` and the machinery's own tests run on."""

from __future__ import annotations

import math

import torch
from pydantic import ConfigDict, Field, PositiveInt, model_validator
from torch import Tensor
from torch.nn import functional as F

from invspec.data import TensorSplit
from invspec.kinds import Dataset, SplitName
from invspec.ops.draws import Stream
from invspec.ops.types import Bounds, Shape


class Fake(Dataset):
    """Images that are three quarters the coarse pattern of their class and one quarter noise.

    Labels go round (0, 1, ..., K - 1, 0, ...), so every head of a split is balanced. Images within (0, 1) are uint8,
    as real ones are; any other bounds give float32 of that range, and a missing bound counts as 2 from the other one,
    or as -1 or 1 where both are missing. In Python and YAML the first three fields are shape, classes and bounds.
    """

    model_config = ConfigDict(populate_by_name=True)

    image_shape: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        default=(1, 28, 28), alias="shape", description="C, H, W of an image"
    )
    class_count: int = Field(default=10, ge=2, alias="classes", description="number of classes")
    pixel_bounds: tuple[float | None, float | None] = Field(
        default=(0.0, 1.0),
        alias="bounds",
        description="least and largest value of a pixel; null: none",
    )
    train: int = Field(default=512, ge=1, description="number of training images")
    val: int = Field(default=64, ge=1, description="number of validation images")
    test: int = Field(default=128, ge=1, description="number of test images")
    seed: int = Field(default=0, ge=0, description="another seed, other patterns and other noise")

    @model_validator(mode="after")
    def _low_below_high(self) -> Fake:
        low, high = self.bounds
        if not low < high:
            raise ValueError(f"bounds {low:g} and {high:g} leave no room; give the lower one first")
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

    def count(self, split: SplitName) -> int:
        return {"train": self.train, "val": self.val, "test": self.test}[split]

    def load(self, split: SplitName) -> TensorSplit:
        y = torch.arange(self.count(split)) % self.classes
        noise = Stream(f"fake/{self.seed}/{split}").uniform((len(y), *self.shape))
        return TensorSplit(self._pixels(0.75 * self._patterns()[y] + 0.25 * noise), y, self.bounds)

    def _patterns(self) -> Tensor:
        """One image a class of four by four patches, dark or light and no two alike, (K, C, H, W) in [0, 1]."""
        channels, height, width = self.shape
        patches = Stream(f"fake/{self.seed}").uniform(
            (self.classes, channels, min(4, height), min(4, width))
        )
        return F.interpolate(patches.lerp(patches.round(), 0.9), (height, width), mode="bilinear")

    def _pixels(self, values: Tensor) -> Tensor:
        """Values in [0, 1] as pixels within the bounds."""
        if self.bounds == (0.0, 1.0):
            return (values * 255).round().to(torch.uint8)
        low, high = self._range()
        return (low + (high - low) * values).clamp(low, high)

    def _range(self) -> tuple[float, float]:
        """Where the values lie: the bounds, or two apart where one of them is missing."""
        low, high = self.pixel_bounds
        if low is None:
            return (-1.0, 1.0) if high is None else (high - 2, high)
        return (low, low + 2 if high is None else high)
