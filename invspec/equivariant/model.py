"""Base class of models whose convolutions commute with a group."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from invspec.equivariant.group_conv import (
    GroupBatchNorm,
    GroupConv,
    GroupMax,
    Initialisation,
    exported,
)
from invspec.equivariant.kernels import kernel_basis, order_of
from invspec.layers.factory import LayerFactory, PlainLayers
from invspec.layers.pooling import SpatialMax
from invspec.layers.standardise import StandardisedNet, StandardisingModel
from invspec.ops.types import Shape

Head = Annotated[
    Literal["flatten", "group_flatten", "invariant"],
    Field(description="what the linear layers read; only invariant makes the net invariant"),
]


class EquivariantLayers:
    """A factory of layers that commute with a group: c<n>, or d<n> with reflections."""

    def __init__(self, group: str, initialisation: Initialisation | None = None) -> None:
        self.group, self.order = group, order_of(group)
        self.initialisation: Initialisation | None = initialisation

    def lift(self, channels: int, fields: int, size: int = 3, padding: int = 0) -> GroupConv:
        basis = kernel_basis(self.group, "trivial", size)
        return GroupConv(basis, channels, fields, padding, self.initialisation)

    def conv(self, in_fields: int, out_fields: int, size: int = 3, padding: int = 0) -> GroupConv:
        basis = kernel_basis(self.group, "regular", size)
        return GroupConv(basis, in_fields, out_fields, padding, self.initialisation)

    def norm(self, fields: int) -> GroupBatchNorm:
        return GroupBatchNorm(fields, self.order)


class EquivariantModel(StandardisingModel):
    """A model whose convolutions commute with a group, and which is deployed with ordinary ones.

    A subclass builds the net from a layer factory in `assemble`.
    """

    group: str = Field(
        default="c4",
        pattern=r"^[cd][1-9]\d?$",
        description="c<n>: n rotations; d<n>: n rotations and their reflections",
    )
    initialisation: Initialisation | None = Field(
        default=None,
        description="initial weights of the convolutions: conv2d, as an ordinary net of the same "
        "channels; groupy, as in Cohen and Welling's code; default: e2cnn's He initialisation",
    )

    @property
    def order(self) -> int:
        """Number of group elements."""
        return order_of(self.group)

    @abstractmethod
    def assemble(self, layers: LayerFactory, shape: Shape, classes: int) -> nn.Sequential:
        """The net behind the standardisation, made of these layers."""

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        layers = EquivariantLayers(self.group, self.initialisation)
        return self.standardised(self.assemble(layers, shape, classes), shape[0])

    def sketch(self, shape: Shape, classes: int) -> StandardisedNet:
        """The deployed net without numbers. It needs no basis, so e2cnn is not imported."""
        layers = PlainLayers(self.order)
        with torch.device("meta"):
            return self.standardised(self.assemble(layers, shape, classes), shape[0])

    def deploy(self, net: nn.Module) -> nn.Module:
        """The trained net with ordinary layers in place of equivariant ones."""
        assert isinstance(net, StandardisedNet), f"expected a StandardisedNet, found {type(net)}"
        return super().deploy(StandardisedNet(net.standardise, exported(net.net)))


def readout(head: Head, order: int) -> nn.Sequential:
    """The layers between the last map (B, C * G, H, W) and the linear layers."""
    group = [] if head == "flatten" else [GroupMax(order)]
    space = [SpatialMax()] if head == "invariant" else []
    return nn.Sequential(*group, *space, nn.Flatten())


def numbers_per_field(head: Head, order: int, height: int, width: int) -> int:
    """How many numbers `readout` gives for each field of the last map."""
    match head:
        case "flatten":
            return order * height * width
        case "group_flatten":
            return height * width
        case "invariant":
            return 1


def require_even_maps(shape: Shape, factor: int) -> None:
    """Raise ValueError if factor does not divide height and width.

    A max-pooling would then meet an odd map and break the symmetry.
    """
    _, height, width = shape
    if height % factor or width % factor:
        raise ValueError(
            f"an invariant head needs a height and width divisible by {factor}, "
            f"found {height}x{width}"
        )
