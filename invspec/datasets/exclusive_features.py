"""A distribution on which robustness to one perturbation excludes robustness to another."""

from __future__ import annotations

import math

import torch
from pydantic import Field

from invspec.data import TensorSplit
from invspec.kinds import Number, SplitName
from invspec.kinds.generated import Generated, TestCount, TrainCount, ValCount
from invspec.ops.contrast import signed
from invspec.ops.draws import Stream
from invspec.ops.types import Bounds, Shape


class ExclusiveFeatures(Generated):
    """Points (1, 1, d + 1) of two equally likely classes: label 0 for Y = -1, label 1 for Y = 1.

    One strong feature, coordinate 0, is Y with probability p and -Y otherwise. d weak ones are
    Gaussians of mean Y alpha / sqrt(d) and deviation 1; together they tell Y with probability
    Phi(alpha). Data sets that differ only in p, alpha or deviation have the same labels and noise.

    An linf perturbation of 2 alpha / sqrt(d), which moves all weak features to the other class, and
    an l1 perturbation of 2, which negates the strong one, leave classifiers no way out: points of
    one class after the first are distributed as those of the other after the second. So the
    accuracies of every classifier under the two sum to 1.

    If deviation is given, the strong feature is a Gaussian about Y or -Y, so that its value does
    not tell it from a weak one. Then, nearly the same holds of the linf perturbation and a swap of
    the strong feature with one of many weak ones (attack `strong_swap`).
    """

    p: float = Field(
        default=0.95,
        ge=0.5,
        le=1,
        description="probability that coordinate 0 agrees with the class",
    )
    alpha: Number = Field(
        default=2.0, ge=0, description="mean of the weak features, in units of 1 / sqrt(d)"
    )
    deviation: Number | None = Field(
        default=None,
        gt=0,
        description="standard deviation of coordinate 0 about Y or -Y; default: exactly Y or -Y",
    )
    d: int = Field(default=100, ge=1, description="number of weak features")
    train: TrainCount = 10_000
    val: ValCount = 1_000
    test: TestCount = 10_000
    seed: int = Field(default=0, ge=0, description="seed of the points")

    @property
    def shape(self) -> Shape:
        return (1, 1, self.d + 1)

    @property
    def classes(self) -> int:
        return 2

    @property
    def bounds(self) -> Bounds:
        return (-math.inf, math.inf)

    def load(self, split: SplitName) -> TensorSplit:
        n, rng = self.count(split), Stream(f"exclusive_features/{self.seed}/{split}")
        y, agrees = rng.integers(2, (n,)), rng.uniform((n,)) < self.p
        noise = rng.normal((n, self.d + 1))
        x = noise + signed(y)[:, None] * self.alpha / math.sqrt(self.d)
        x[:, 0] = torch.where(agrees, signed(y), -signed(y))
        if self.deviation is not None:
            x[:, 0] += self.deviation * noise[:, 0]
        return TensorSplit(x.view(n, *self.shape), y, bounds=self.bounds)
