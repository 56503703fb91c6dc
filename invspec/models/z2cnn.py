"""Z2CNN, the counterpart of P4CNN without symmetry."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from invspec.layers.factory import PlainLayers
from invspec.layers.pooling import SpatialMax
from invspec.layers.rotated_mnist import require_large_enough, seven_layers
from invspec.layers.standardise import StandardisedNet, StandardisingModel
from invspec.ops.types import Shape


class Z2CNN(StandardisingModel):
    """Seven unpadded convolutions and no linear layer: six of 3 x 3, then one of 4 x 4.

    Batch norm and ReLU follow each of the six, 2 x 2 max-pooling the second, dropout the others.
    The logits are the maxima over the positions of the last map, which has one position for 28 x 28
    images.
    """

    channels: int = Field(
        default=20, ge=1, description="channels of every convolution but the last"
    )
    dropout: float = Field(default=0.3, ge=0, lt=1, description="dropout rate of the maps")

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        require_large_enough(shape)
        net = seven_layers(PlainLayers(), shape[0], self.channels, classes, self.dropout)
        return self.standardised(nn.Sequential(*net, SpatialMax()), shape[0])
