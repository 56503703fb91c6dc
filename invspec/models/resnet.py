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
    """A 3 x 3 convolution, four groups of two basic blocks, global mean, one linear layer.

    The groups have 1, 2, 4 and 8 times `width` channels; each but the first halves the map.

    Deviates: the stem is 3 x 3 with stride 1 and without max-pooling, as is usual for CIFAR; the
    paper's ResNet-18 is for ImageNet.
    """

    mean: Mean = CIFAR10_MEAN
    std: Std = CIFAR10_STD
    width: int = Field(default=64, ge=1, description="channels of the stem and the first group")

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        widths = [self.width, 2 * self.width, 4 * self.width, 8 * self.width]
        return self.standardised(residual_net(shape[0], widths, 2, classes), shape[0])
