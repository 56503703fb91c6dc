"""Weightless classifiers of `spheres` by the distance from the centre."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.kinds import Model, Number
from invspec.ops.norms import size
from invspec.ops.types import Shape


class RadiusClassifier(Model):
    """Label 1 if r = ||x|| is above middle = (inner + outer) / 2, label 0 otherwise; untrained.

    Example 5 uses all coordinates and has the largest margin. Example 6 ignores the last one: it is
    as accurate on any sample that can be drawn, yet a point can move from one sphere to the other
    without changing its output. The logits are (middle - r, r - middle).
    """

    weights_from: ClassVar[Literal["drawn", "published", "none"]] = "none"

    inner: Number = Field(
        default=1.0, ge=0, description="radius of the sphere of label 0, as in the data set"
    )
    outer: Number = Field(
        default=10.0,
        gt=0,
        description="radius of the sphere of label 1, as in the data set: 1.3 for spheres_gilmer",
    )
    ignored: int = Field(
        default=0, ge=0, description="number of coordinates to ignore, from the last"
    )

    def build(self, shape: Shape, classes: int) -> Radius:
        if classes != 2:
            raise ValueError(f"RadiusClassifier needs a data set of 2 classes, found {classes}")
        d = math.prod(shape)
        if d <= self.ignored:
            raise ValueError(f"ignored is {self.ignored}, expected fewer than the {d} coordinates")
        return Radius((self.inner + self.outer) / 2, d - self.ignored)


class Radius(nn.Module):
    """x (B, C, H, W) to logits (B, 2), from the length of its first `coordinates` coordinates."""

    def __init__(self, middle: float, coordinates: int) -> None:
        super().__init__()
        self.middle, self.coordinates = middle, coordinates

    def forward(self, x: Tensor) -> Tensor:
        beyond = size(x.flatten(1)[:, : self.coordinates], "l2") - self.middle
        return torch.stack([-beyond, beyond], dim=1)
