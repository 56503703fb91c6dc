"""GCNN: StdCNN with convolutions that commute with rotations and reflections."""

from __future__ import annotations

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
from invspec.layers.pooling import EvenMaxPool
from invspec.layers.table_one import KERNEL, TableOne, features, max_pooling
from invspec.ops.types import Shape


class GCNN(EquivariantModel, TableOne):
    """StdCNN with every convolution equivariant under rotations, or rotations and reflections.

    Every channel becomes one channel per group element. Equivariance under quarter-turns and
    reflections is exact up to rounding if 4 divides height and width, so that max-pooling meets no
    odd map; under other rotations it is approximate.

    The heads: `flatten`, the paper's, reads position and group element, so the net is *not*
    invariant. `group_flatten` takes the maximum over the group and still reads the position.
    `invariant` takes the maximum over the positions, too.

    Deviates: kernels come from e2cnn's basis. For c4 it spans Cohen and Welling's P4 convolutions,
    but with 38 coefficients where 36 would do (26,750 parameters in the convolutions instead of
    25,350).
    """

    head: Head = "flatten"

    def assemble(self, layers: LayerFactory, shape: Shape, classes: int) -> nn.Sequential:
        height, width = self.pooled(shape)
        if self.head == "invariant":
            # two poolings, each after two convolutions that trim 2 pixels per side length
            require_even_maps(shape, 4)
        (channels, narrow), *fans = self.fans(shape[0])
        lift = layers.lift(channels, narrow, KERNEL)
        convs = [layers.conv(*fan, KERNEL) for fan in fans]
        per_field = numbers_per_field(self.head, layers.order, height, width)
        classifier = self.classifier(self.widths[1] * per_field, classes)
        body = features(lift, *convs, pool=self.pooling)
        return nn.Sequential(body, readout(self.head, layers.order), classifier)

    @staticmethod
    def pooling() -> nn.Module:
        """A max-pooling over 2 x 2 windows."""
        return max_pooling()


class EvenGCNN(GCNN):
    """GCNN with an invariant head, and with gradients that turn with the image.

    Its max-pooling shares a gradient among equal values, such as those of a constant background;
    that of GCNN gives it to the first of them. So here, the gradient at a turned image is the
    turned gradient, as the argument of Kamath et al., Section 1.1, takes for granted.

    Deviates: from Cohen and Welling's net as GCNN does, and in the gradient of max-pooling.
    """

    head: Literal["invariant"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="invariant", description="what the linear layers read: here always invariant"
    )

    @staticmethod
    def pooling() -> nn.Module:
        """A max-pooling over 2 x 2 windows."""
        return EvenMaxPool()
