"""Cohen and Welling's nets for rotated MNIST: P4CNN and its twin without symmetry."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from invspec.equivariant.group_conv import GroupMax, SpatialMax
from invspec.equivariant.model import EquivariantModel, Layers, Plain
from invspec.layers.standardise import StandardisedNet, StandardisingModel
from invspec.ops.types import Shape

DEEP = 4  # 3 x 3 convolutions after the max-pooling, of six in all
LEAST = 28  # each of the six takes 2 from the size, the max-pooling halves it, and the last kernel is 4 x 4


class Z2CNN(StandardisingModel):
    """Seven unpadded convolutions without a linear layer behind them: six 3 x 3, then one 4 x 4 to the classes.

    Batch norm and ReLU follow each of the six, 2 x 2 max-pooling the second, dropout the others. The logits are the
    maxima over the positions of the last map, which 28 x 28 images leave one.
    """

    channels: int = Field(
        default=20, ge=1, description="channels of every convolution but the last"
    )
    dropout: float = Field(
        default=0.3, ge=0, lt=1, description="share of each map's numbers dropped in training"
    )

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        _require_room(shape)
        net = seven_layers(Plain(), shape[0], self.channels, classes, self.dropout)
        return self.standardised(nn.Sequential(*net, SpatialMax()), shape[0])


class P4CNN(EquivariantModel):
    """Z2CNN with convolutions that commute with a group, half the channels for c4, and the maximum over the group too.

    For c4 it is invariant under quarter-turns, to rounding, on images of even height and width, so also on 28 x 28: the
    one max-pooling meets an even map, every convolution is unpadded, and the kernel of even size turns about its own
    centre. Images of odd size are refused.

    Deviates: kernels are spanned by e2cnn's basis, which spans Cohen and Welling's with a few coefficients more.
    """

    channels: int = Field(default=10, ge=1, description="fields of every convolution but the last")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of each map's numbers dropped in training"
    )

    def assemble(self, layers: Layers, shape: Shape, classes: int) -> nn.Sequential:
        _require_room(shape)
        if shape[1] % 2 or shape[2] % 2:
            raise ValueError(
                f"P4CNN needs an even height and width to be invariant, found {shape[1]}x{shape[2]}"
            )
        net = seven_layers(layers, shape[0], self.channels, classes, self.dropout)
        return nn.Sequential(*net, GroupMax(layers.order), SpatialMax())


def seven_layers(
    layers: Layers, channels: int, fields: int, classes: int, dropout: float
) -> nn.Sequential:
    """Images (B, channels, H, W) to fields of logits (B, K * G, (H - 4) / 2 - 11, (W - 4) / 2 - 11)."""

    def unit(conv: nn.Module, after: nn.Module) -> list[nn.Module]:
        return [conv, layers.norm(fields), nn.ReLU(), after]

    net = nn.Sequential(*unit(layers.lift(channels, fields), nn.Dropout(dropout)))
    net.extend(unit(layers.conv(fields, fields), nn.MaxPool2d(2)))
    for _ in range(DEEP):
        net.extend(unit(layers.conv(fields, fields), nn.Dropout(dropout)))
    return net.append(layers.conv(fields, classes, 4))


def _require_room(shape: Shape) -> None:
    if min(shape[1:]) < LEAST:
        raise ValueError(
            f"seven convolutions need images of at least 28x28, found {shape[1]}x{shape[2]}"
        )
