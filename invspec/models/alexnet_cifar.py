"""AlexNet for small images, whose features Laidlaw et al. compare images by."""

from __future__ import annotations

import math

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from invspec.layers.standardise import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    Mean,
    StandardisedNet,
    StandardisingModel,
    Std,
)
from invspec.ops.types import Shape
from invspec.perceptual.backbones import CIFAR_ALEXNET_KEPT, CIFAR_ALEXNET_WIDTHS, cifar_alexnet

Widths = tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt]


class AlexNetCIFAR(StandardisingModel):
    """Five 3 x 3 convolutions with ReLU, of which three halve the map by max-pooling, then three linear layers.

    Trained on CIFAR-10 with the default fields, its weights serve the distance laidlaw_alexnet_cifar; its outputs after
    ReLU are what laidlaw_self compares.

    The linear layers read 256 maps of 2 x 2, and smaller or larger ones of images that are not 32 x 32.

    Deviates: pixels are standardised by the mean and deviation of CIFAR-10, in the published code by those of ImageNet.
    """

    mean: Mean = CIFAR10_MEAN
    std: Std = CIFAR10_STD
    widths: Widths = Field(
        default=CIFAR_ALEXNET_WIDTHS, description="channels of the five convolutions"
    )
    hidden: int = Field(default=4096, ge=1, description="units of both hidden linear layers")
    dropout: float = Field(
        default=0.5, ge=0, lt=1, description="share of numbers dropped before each hidden layer"
    )

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        channels, *sides = shape
        if min(sides) < 15:
            raise ValueError(f"AlexNet needs images of at least 15x15, found {sides[0]}x{sides[1]}")
        positions = math.prod(
            (side + 1) // 2 // 8 for side in sides
        )  # a stride of 2, then three poolings
        classifier = nn.Sequential(
            *(
                nn.Dropout(self.dropout),
                nn.Linear(self.widths[-1] * positions, self.hidden),
                nn.ReLU(),
            ),
            *(nn.Dropout(self.dropout), nn.Linear(self.hidden, self.hidden), nn.ReLU()),
            nn.Linear(self.hidden, classes),
        )
        return self.standardised(
            _AlexNet(cifar_alexnet(channels, self.widths), classifier), channels
        )


class _AlexNet(nn.Module):
    """Maps, then logits. feature_layers are those by whose outputs images are compared."""

    def __init__(self, features: nn.Sequential, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features, self.classifier = features, classifier

    @property
    def feature_layers(self) -> tuple[nn.Module, ...]:
        """The five ReLUs behind convolutions."""
        return tuple(self.features[position] for position in CIFAR_ALEXNET_KEPT)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))
