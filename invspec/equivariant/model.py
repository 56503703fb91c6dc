"""What the nets have in common whose convolutions commute with a group."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal, Protocol

import torch
from pydantic import Field
from torch import nn

from invspec.equivariant.group_conv import (
    GroupBatchNorm,
    GroupConv,
    GroupMax,
    SpatialMax,
    kernel_basis,
    order_of,
    written_out,
)
from invspec.layers.standardise import StandardisedNet, StandardisingModel
from invspec.ops.types import Shape

Head = Annotated[
    Literal["flatten", "group_flatten", "invariant"],
    Field(description="what the linear layers read; only invariant makes the net invariant"),
]


class Layers(Protocol):
    """Where a net takes its convolutions and batch norms from. A field is `order` channels, one a group element."""

    @property
    def order(self) -> int:
        """Number of group elements."""
        ...

    def lift(self, channels: int, fields: int, size: int = 3, padding: int = 0) -> nn.Module:
        """The first convolution, which reads an image."""
        ...

    def conv(self, in_fields: int, out_fields: int, size: int = 3, padding: int = 0) -> nn.Module:
        """A convolution that reads fields."""
        ...

    def norm(self, fields: int) -> nn.Module:
        """Batch norm of fields."""
        ...


class Plain:
    """Ordinary layers of the shapes that equivariant ones are written out to; of order 1, those of an ordinary net."""

    def __init__(self, order: int = 1) -> None:
        self.order = order

    def lift(self, channels: int, fields: int, size: int = 3, padding: int = 0) -> nn.Conv2d:
        return nn.Conv2d(channels, fields * self.order, size, padding=padding)

    def conv(self, in_fields: int, out_fields: int, size: int = 3, padding: int = 0) -> nn.Conv2d:
        return self.lift(in_fields * self.order, out_fields, size, padding)

    def norm(self, fields: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(fields * self.order)


class Equivariant:
    """Layers that commute with a group: c<n>, or d<n> with reflections."""

    def __init__(self, group: str) -> None:
        self.group, self.order = group, order_of(group)

    def lift(self, channels: int, fields: int, size: int = 3, padding: int = 0) -> GroupConv:
        return GroupConv(kernel_basis(self.group, "trivial", size), channels, fields, padding)

    def conv(self, in_fields: int, out_fields: int, size: int = 3, padding: int = 0) -> GroupConv:
        return GroupConv(kernel_basis(self.group, "regular", size), in_fields, out_fields, padding)

    def norm(self, fields: int) -> GroupBatchNorm:
        return GroupBatchNorm(fields, self.order)


class EquivariantModel(StandardisingModel):
    """A model whose convolutions commute with a group, and which is deployed with ordinary ones.

    A subclass says in `assemble` what it is made of.
    """

    group: str = Field(
        default="c4",
        pattern=r"^[cd][1-9]\d?$",
        description="c<n>: n rotations; d<n>: and their reflections",
    )

    @property
    def order(self) -> int:
        """Number of group elements."""
        return order_of(self.group)

    @abstractmethod
    def assemble(self, layers: Layers, shape: Shape, classes: int) -> nn.Sequential:
        """The net behind the standardisation, of these layers."""

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        return self.standardised(self.assemble(Equivariant(self.group), shape, classes), shape[0])

    def sketch(self, shape: Shape, classes: int) -> StandardisedNet:
        """The deployed net, which needs no basis and so no e2cnn, without numbers."""
        with torch.device("meta"):
            return self.standardised(self.assemble(Plain(self.order), shape, classes), shape[0])

    def deploy(self, net: nn.Module) -> nn.Module:
        """The trained net with every equivariant layer written out as an ordinary one."""
        assert isinstance(net, StandardisedNet), (
            f"expected the StandardisedNet that was built, found {type(net)}"
        )
        return super().deploy(StandardisedNet(net.standardise, written_out(net.net)))


def readout(head: Head, order: int) -> nn.Sequential:
    """What stands between the last map (B, C * G, H, W) and the linear layers."""
    group = [] if head == "flatten" else [GroupMax(order)]
    space = [SpatialMax()] if head == "invariant" else []
    return nn.Sequential(*group, *space, nn.Flatten())


def numbers_read(head: Head, order: int, height: int, width: int) -> int:
    """How many numbers of each field of a map `readout` leaves."""
    return {"flatten": order * height * width, "group_flatten": height * width, "invariant": 1}[
        head
    ]


def require_even_maps(shape: Shape, factor: int) -> None:
    """Raises ValueError where a max-pooling on the way down by factor would meet an odd map and lose the symmetry."""
    _, height, width = shape
    if height % factor or width % factor:
        raise ValueError(
            f"an invariant head needs height and width that {factor} divides, found {height}x{width}"
        )
