"""The residual net of He et al. for small images."""

from __future__ import annotations

from pydantic import Field

from invspec.layers.residual import residual_net
from invspec.layers.standardise import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    Mean,
    StandardisedNet,
    StandardisingModel,
    Std,
)
from invspec.ops.types import Shape


class ResNet18(StandardisingModel):
    """Four groups of two basic blocks behind a 3 x 3 convolution, then the mean over positions and one linear layer.

    The groups have 1, 2, 4 and 8 times `width` channels; each but the first halves the map.

    Deviates from the paper's net for ImageNet, as is usual for CIFAR: the stem is 3 x 3 with stride 1, without
    max-pooling.
    """

    mean: Mean = CIFAR10_MEAN
    std: Std = CIFAR10_STD
    width: int = Field(default=64, ge=1, description="channels of the stem and the first group")

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        widths = [self.width, 2 * self.width, 4 * self.width, 8 * self.width]
        return self.standardised(residual_net(shape[0], widths, 2, classes), shape[0])
