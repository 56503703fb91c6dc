"""VGG16 with batch norm for small images, and its group-equivariant twin."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from invspec.equivariant.model import (
    EquivariantModel,
    Head,
    Layers,
    Plain,
    numbers_read,
    readout,
    require_even_maps,
)
from invspec.layers.standardise import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    Mean,
    StandardisedNet,
    StandardisingModel,
    Std,
)
from invspec.ops.types import Shape

DEPTHS = (2, 2, 3, 3, 3)  # convolutions before each max-pooling
SHRINKS = 2 ** len(DEPTHS)

Widths = tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt]


class VGG(StandardisingModel):
    """The fields of both nets."""

    mean: Mean = CIFAR10_MEAN
    std: Std = CIFAR10_STD
    widths: Widths = Field(
        default=(64, 128, 256, 512, 512),
        description="channels of the five blocks of 2, 2, 3, 3 and 3 convolutions; a quarter of them suits a laptop",
    )

    def pooled(self, shape: Shape) -> tuple[int, int]:
        """Height and width of what the last max-pooling gives. Raises ValueError where nothing is left."""
        _, height, width = shape
        if min(height, width) < SHRINKS:
            raise ValueError(
                f"{type(self).__name__} needs images of at least 32x32, found {height}x{width}"
            )
        return height // SHRINKS, width // SHRINKS


def features(layers: Layers, channels: int, widths: Widths) -> nn.Sequential:
    """Thirteen padded 3 x 3 convolutions, each with batch norm and ReLU, 2 x 2 max-pooling after every block."""
    net, before, conv = nn.Sequential(), channels, layers.lift
    for fields, depth in zip(widths, DEPTHS, strict=True):
        for _ in range(depth):
            net.extend([conv(before, fields, 3, 1), layers.norm(fields), nn.ReLU()])
            before, conv = fields, layers.conv
        net.append(nn.MaxPool2d(2))
    return net


class VGG16(VGG):
    """Simonyan and Zisserman's configuration D with batch norm and one linear layer, as is usual for CIFAR-10."""

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        height, width = self.pooled(shape)
        linear = nn.Linear(self.widths[-1] * height * width, classes)
        net = nn.Sequential(features(Plain(), shape[0], self.widths), nn.Flatten(), linear)
        return self.standardised(net, shape[0])


class GCNNVGG16(EquivariantModel, VGG):
    """VGG16 with every convolution equivariant under a group, and batch norm whose statistics the group shares.

    keep says what replacing a layer by its equivalent leaves as it was. `channels`: each becomes one channel per group
    element, as in Table 1, with as many times the parameters. `parameters`: about their number, with the widths divided
    by the square root of the group's order, which for c4 makes them 32, 64, 128, 256 and 256.

    Maps of 32 x 32 images shrink to 1 x 1, and the head decides what the linear layer reads there: `flatten`, as in
    Table 1, every group element apart, so that the net is *not* invariant; `group_flatten` and `invariant` the maximum
    over the group. They differ on larger images, of which group_flatten reads the positions.

    Quarter-turns and mirrorings hold to rounding if 32 divides height and width, so that max-pooling meets no odd map.
    """

    keep: Literal["channels", "parameters"] = Field(
        default="parameters",
        description="what stays as in vgg16: the channels, or about the number of parameters",
    )
    head: Head = "flatten"

    @property
    def fields(self) -> Widths:
        """How many fields each block has."""
        divisor = math.sqrt(self.order) if self.keep == "parameters" else 1
        first, second, third, fourth, fifth = (
            max(1, round(width / divisor)) for width in self.widths
        )
        return first, second, third, fourth, fifth

    def assemble(self, layers: Layers, shape: Shape, classes: int) -> nn.Sequential:
        height, width = self.pooled(shape)
        if self.head == "invariant":
            require_even_maps(shape, SHRINKS)
        linear = nn.Linear(
            self.fields[-1] * numbers_read(self.head, layers.order, height, width), classes
        )
        return nn.Sequential(
            features(layers, shape[0], self.fields), readout(self.head, layers.order), linear
        )
