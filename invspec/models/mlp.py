"""The multilayer perceptron."""

from __future__ import annotations

import math
from itertools import pairwise

from pydantic import Field, PositiveInt
from torch import nn

from invspec.kinds import Model
from invspec.ops.types import Shape


class MLP(Model):
    """Linear layers on the flattened pixels with ReLU between; one affine map if none is hidden."""

    hidden: tuple[PositiveInt, ...] = Field(
        default=(128, 128), description="units of each hidden layer"
    )

    def build(self, shape: Shape, classes: int) -> nn.Sequential:
        widths = (math.prod(shape), *self.hidden)
        layers = [layer for fans in pairwise(widths) for layer in (nn.Linear(*fans), nn.ReLU())]
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear(widths[-1], classes))
