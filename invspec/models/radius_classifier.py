"""Classifiers of `spheres` without weights: by the distance from the centre, of all coordinates or all but the last."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.kinds import Model, Number
from invspec.ops.norms import size
from invspec.ops.types import Shape


class RadiusClassifier(Model):
    """Label 1 where r = ||x|| is above (inner + outer) / 2, label 0 elsewhere; nothing to train.

    Example 5 is that of all coordinates, which has the largest margin. Example 6 ignores the last one: it is as
    accurate on any sample that can be drawn, and yet a point may wander from one sphere to the other without its
    noticing. The logits are (middle - r, r - middle).
    """

    inner: Number = Field(
        default=1.0, ge=0, description="radius of the sphere of label 0, as the data set has it"
    )
    outer: Number = Field(
        default=10.0,
        gt=0,
        description="radius of the sphere of label 1, as the data set has it: 1.3 for spheres_gilmer",
    )
    ignored: int = Field(
        default=0, ge=0, description="number of coordinates, the last ones, that are left out of r"
    )

    def build(self, shape: Shape, classes: int) -> Radius:
        if classes != 2:
            raise ValueError(f"RadiusClassifier tells 2 classes apart, found {classes}")
        read = math.prod(shape) - self.ignored
        if read < 1:
            raise ValueError(
                f"RadiusClassifier ignores {self.ignored} coordinates, found no more than that"
            )
        return Radius((self.inner + self.outer) / 2, read)


class Radius(nn.Module):
    """x (B, C, H, W) to logits (B, 2), of the length of its first `read` coordinates."""

    def __init__(self, middle: float, read: int) -> None:
        super().__init__()
        self.middle, self.read = middle, read

    def forward(self, x: Tensor) -> Tensor:
        beyond = size(x.flatten(1)[:, : self.read], "l2") - self.middle
        return torch.stack([-beyond, beyond], dim=1)
