"""The parts of VGG16 that the models vgg16 and gcnn_vgg16 share."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

from pydantic import Field, PositiveInt, model_validator
from torch import nn

from invspec.layers.factory import LayerFactory
from invspec.layers.standardise import CIFAR10_MEAN, CIFAR10_STD, Mean, StandardisingModel, Std
from invspec.ops.types import Shape

# Number of convolutions before each max-pooling.
DEPTHS = (2, 2, 3, 3, 3)

# Simonyan and Zisserman's share of the units of hidden linear layers dropped in training.
DROPOUT = 0.5

# Ratio of the image's height and width to those of the last map.
DOWNSAMPLING = 2 ** len(DEPTHS)

Widths = tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt]


class VGG(StandardisingModel):
    """The fields that vgg16 and gcnn_vgg16 share."""

    mean: Mean = CIFAR10_MEAN
    std: Std = CIFAR10_STD
    widths: Widths = Field(
        default=(64, 128, 256, 512, 512),
        description="channels of the five blocks of 2, 2, 3, 3 and 3 convolutions; a quarter of "
        "them suits a laptop",
    )
    hidden: tuple[PositiveInt, ...] | None = Field(
        default=None,
        min_length=1,
        description="units of hidden linear layers with ReLU, [4096, 4096] in the paper; default: "
        "none",
    )
    dropout: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="share of the units of each hidden linear layer dropped in training; default: "
        "0.5, as in the paper",
    )

    @model_validator(mode="after")
    def _dropout_of_hidden_units(self) -> Self:
        if self.dropout is not None and self.hidden is None:
            raise ValueError(f"dropout {self.dropout:g} needs hidden layers; set hidden, too")
        return self

    def classifier(self, features: int, classes: int) -> nn.Module:
        """Flattened features (B, features) to logits (B, K)."""
        if self.hidden is None:
            return nn.Linear(features, classes)
        net, rate = nn.Sequential(), DROPOUT if self.dropout is None else self.dropout
        for fan_in, fan_out in pairwise((features, *self.hidden)):
            net.extend([nn.Linear(fan_in, fan_out), nn.ReLU(), nn.Dropout(rate)])
        return net.append(nn.Linear(self.hidden[-1], classes))

    def pooled(self, shape: Shape) -> tuple[int, int]:
        """Height and width after the last max-pooling. Raises ValueError if they are 0."""
        _, height, width = shape
        if min(height, width) < DOWNSAMPLING:
            raise ValueError(
                f"{type(self).__name__} needs images of at least {DOWNSAMPLING}x{DOWNSAMPLING}, "
                f"found {height}x{width}"
            )
        return height // DOWNSAMPLING, width // DOWNSAMPLING


def features(layers: LayerFactory, channels: int, widths: Widths) -> nn.Sequential:
    """Thirteen padded 3 x 3 convolutions with batch norm and ReLU; max-pooling after each block."""
    net, fan_in, conv = nn.Sequential(), channels, layers.lift
    for fields, depth in zip(widths, DEPTHS, strict=True):
        for _ in range(depth):
            net.extend([conv(fan_in, fields, 3, 1), layers.norm(fields), nn.ReLU()])
            # only the first convolution reads an image
            fan_in, conv = fields, layers.conv
        net.append(nn.MaxPool2d(2))
    return net
