"""VGG16 with convolutions that commute with rotations and reflections."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from torch import nn

from invspec.equivariant.model import (
    EquivariantModel,
    Head,
    numbers_per_field,
    readout,
    require_even_maps,
)
from invspec.layers.factory import LayerFactory
from invspec.layers.vgg import DOWNSAMPLING, VGG, Widths, features
from invspec.ops.types import Shape


class GCNNVGG16(EquivariantModel, VGG):
    """VGG16 with every convolution equivariant under a group, and batch norm shared by the group.

    `keep` says what stays as in vgg16. With `channels`, each channel becomes one channel per group
    element, as in Table 1 ("similar to how we obtained a GCNN architecture from StdCNN"), which
    multiplies the parameters by the group's order. With `parameters`, their number stays about the
    same: the widths are divided by the square root of the group's order, to 32, 64, 128, 256 and
    256 for c4.

    32 x 32 images shrink to maps of 1 x 1. With the head `flatten`, as in Table 1, the linear layer
    reads every group element, so the net is *not* invariant; with `group_flatten` and `invariant`
    it reads the maximum over the group. These two differ on larger images, where group_flatten
    reads the positions.

    Equivariance under quarter-turns and reflections is exact up to rounding if 32 divides height
    and width, so that max-pooling meets no odd map.
    """

    keep: Literal["channels", "parameters"] = Field(
        default="channels",
        description="what stays as in vgg16: the channels, or about the number of parameters",
    )
    head: Head = "flatten"

    @property
    def fields(self) -> Widths:
        """Number of fields of each block."""
        # a convolution has coefficients for each pair of fields, times the group's order
        divisor = math.sqrt(self.order) if self.keep == "parameters" else 1
        first, second, third, fourth, fifth = (
            max(1, round(width / divisor)) for width in self.widths
        )
        return first, second, third, fourth, fifth

    def assemble(self, layers: LayerFactory, shape: Shape, classes: int) -> nn.Sequential:
        height, width = self.pooled(shape)
        if self.head == "invariant":
            require_even_maps(shape, DOWNSAMPLING)
        per_field = numbers_per_field(self.head, layers.order, height, width)
        maps = features(layers, shape[0], self.fields)
        classifier = self.classifier(self.fields[-1] * per_field, classes)
        return nn.Sequential(maps, readout(self.head, layers.order), classifier)
