"""GCNN: StdCNN with convolutions that commute with rotations and reflections."""

from __future__ import annotations

from torch import nn

from invspec.equivariant.model import (
    EquivariantModel,
    Head,
    Layers,
    numbers_read,
    readout,
    require_even_maps,
)
from invspec.layers.table_one import KERNEL, TableOne, features
from invspec.ops.types import Shape


class GCNN(EquivariantModel, TableOne):
    """StdCNN with every convolution equivariant under a group of rotations, or rotations and reflections (Table 1).

    Every channel becomes one channel per group element. The group's quarter-turns and mirrorings hold to rounding if 4
    divides height and width, so that max-pooling meets no odd map; its other rotations hold approximately.

    The heads: `flatten`, the paper's, reads position and group element, so the net is *not* invariant. `group_flatten`
    first takes the maximum over the group, and still reads the position. `invariant` takes it over the positions too.

    Deviates: kernels are spanned by e2cnn's basis. For c4 it spans what Cohen and Welling's P4 convolutions can be, but
    with 38 coefficients where 36 would do (26,750 parameters in the convolutions for their 25,350).
    """

    head: Head = "flatten"

    def assemble(self, layers: Layers, shape: Shape, classes: int) -> nn.Sequential:
        height, width = self.pooled(shape)
        if self.head == "invariant":
            require_even_maps(shape, 4)
        (channels, narrow), *fans = self.fans(shape[0])
        convs = [
            layers.lift(channels, narrow, KERNEL),
            *(layers.conv(*fan, KERNEL) for fan in fans),
        ]
        read = self.widths[1] * numbers_read(self.head, layers.order, height, width)
        return nn.Sequential(
            features(*convs), readout(self.head, layers.order), self.classifier(read, classes)
        )
