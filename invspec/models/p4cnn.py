"""P4CNN, Cohen and Welling's net for rotated MNIST."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from invspec.equivariant.group_conv import GroupMax
from invspec.equivariant.model import EquivariantModel
from invspec.layers.factory import LayerFactory
from invspec.layers.pooling import SpatialMax
from invspec.layers.rotated_mnist import require_large_enough, seven_layers
from invspec.ops.types import Shape


class P4CNN(EquivariantModel):
    """Z2CNN with equivariant convolutions, half the channels, and a maximum over the group as well.

    For c4 it is invariant under quarter-turns up to rounding, on images of even height and width,
    such as 28 x 28: the one max-pooling meets an even map, every convolution is unpadded, and the
    kernel of even size rotates about its own centre. Images of odd size are refused.

    Deviates: kernels come from e2cnn's basis, which spans Cohen and Welling's with a few more
    coefficients.
    """

    channels: int = Field(default=10, ge=1, description="fields of every convolution but the last")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout rate of the maps")

    def assemble(self, layers: LayerFactory, shape: Shape, classes: int) -> nn.Sequential:
        require_large_enough(shape)
        channels, height, width = shape
        if height % 2 or width % 2:
            raise ValueError(
                f"P4CNN needs an even height and width to be invariant, found {height}x{width}"
            )
        net = seven_layers(layers, channels, self.channels, classes, self.dropout)
        return nn.Sequential(*net, GroupMax(layers.order), SpatialMax())
