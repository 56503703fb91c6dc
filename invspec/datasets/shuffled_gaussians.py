"""The distribution of Theorem 1, on which no classifier resists both shifts and swaps."""

from __future__ import annotations

import math

import torch
from pydantic import Field

from invspec.data import TensorSplit
from invspec.kinds import SplitName
from invspec.kinds.generated import Generated, TestCount, TrainCount, ValCount
from invspec.ops.contrast import MEAN, contrast, signed
from invspec.ops.draws import Stream
from invspec.ops.types import Bounds, Shape


class ShuffledGaussians(Generated):
    """Points (1, 1, 2d + 1) of two equally likely classes: label 0 for Y = -1, label 1 for Y = 1.

    Coordinate 0 is Y with probability p, and -Y otherwise. Then come d pairs of independent
    Gaussians of deviation 1, with means 3 Y / sqrt(d) and -3 Y / sqrt(d). Data sets that differ
    only in p have the same labels and Gaussians.
    """

    p: float = Field(
        default=0.7, ge=0.5, lt=1, description="probability that coordinate 0 agrees with the class"
    )
    d: int = Field(default=64, ge=1, description="number of pairs of Gaussian coordinates")
    train: TrainCount = 10_000
    val: ValCount = 1_000
    test: TestCount = 10_000
    seed: int = Field(default=0, ge=0, description="seed of the points")

    @property
    def shape(self) -> Shape:
        return (1, 1, 2 * self.d + 1)

    @property
    def classes(self) -> int:
        return 2

    @property
    def bounds(self) -> Bounds:
        return (-math.inf, math.inf)

    def load(self, split: SplitName) -> TensorSplit:
        n, rng = self.count(split), Stream(f"shuffled_gaussians/{self.seed}/{split}")
        # p is only a threshold, so it changes neither the number nor the order of the draws
        y, agrees = rng.integers(2, (n,)), rng.uniform((n,)) < self.p
        noise = rng.normal((n, 2 * self.d + 1))
        x = noise + signed(y)[:, None] * MEAN / math.sqrt(self.d) * contrast(2 * self.d + 1)
        x[:, 0] = torch.where(agrees, signed(y), -signed(y))
        return TensorSplit(x.view(n, *self.shape), y, bounds=self.bounds)
