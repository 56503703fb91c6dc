"""AlexNet for small images."""

from __future__ import annotations

import math

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from invspec.layers.cifar_alexnet import RELUS, WIDTHS, cifar_alexnet
from invspec.layers.standardise import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    Mean,
    StandardisedNet,
    StandardisingModel,
    Std,
)
from invspec.ops.types import Shape

Widths = tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt]

# Smallest height and width that leave a map after all strides.
MIN_SIDE = 15


class AlexNetCIFAR(StandardisingModel):
    """Five 3 x 3 convolutions with ReLU, three max-poolings, and three linear layers.

    With the default fields and trained on CIFAR-10, its weights serve the distance
    laidlaw_alexnet_cifar. The distance laidlaw_self compares the outputs of its five ReLUs.

    For 32 x 32 images the linear layers read 256 maps of 2 x 2; for other images the maps differ in
    size.

    Deviates: pixels are standardised by the mean and deviation of CIFAR-10; the published code uses
    those of ImageNet.
    """

    mean: Mean = CIFAR10_MEAN
    std: Std = CIFAR10_STD
    widths: Widths = Field(default=WIDTHS, description="channels of the five convolutions")
    hidden: int = Field(default=4096, ge=1, description="units of each of the two hidden layers")
    dropout: float = Field(
        default=0.5, ge=0, lt=1, description="dropout rate before each hidden layer"
    )

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        channels, height, width = shape
        if min(height, width) < MIN_SIDE:
            raise ValueError(
                f"AlexNet needs images of at least {MIN_SIDE}x{MIN_SIDE}, found {height}x{width}"
            )
        # A stride of 2, then three poolings.
        positions = math.prod((side + 1) // 2 // 8 for side in (height, width))
        features = self.widths[-1] * positions
        classifier = nn.Sequential(
            *(nn.Dropout(self.dropout), nn.Linear(features, self.hidden), nn.ReLU()),
            *(nn.Dropout(self.dropout), nn.Linear(self.hidden, self.hidden), nn.ReLU()),
            nn.Linear(self.hidden, classes),
        )
        net = _AlexNet(cifar_alexnet(channels, self.widths), classifier)
        return self.standardised(net, channels)


class _AlexNet(nn.Module):
    """Convolutions, then a classifier."""

    def __init__(self, features: nn.Sequential, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features, self.classifier = features, classifier

    @property
    def feature_layers(self) -> tuple[nn.Module, ...]:
        """The five ReLUs after convolutions, whose outputs laidlaw_self compares."""
        return tuple(self.features[position] for position in RELUS)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))
