"""Layer factories: the same architecture from ordinary or from equivariant layers."""

from __future__ import annotations

from typing import Protocol

from torch import nn


class LayerFactory(Protocol):
    """Makes the convolutions and batch norms of a net.

    They work on fields: a field is `order` channels, one per group element.
    """

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


class PlainLayers:
    """Ordinary layers, with as many channels as equivariant layers of this order have.

    With order 1 they are the layers of an ordinary net.
    """

    def __init__(self, order: int = 1) -> None:
        self.order = order

    def lift(self, channels: int, fields: int, size: int = 3, padding: int = 0) -> nn.Conv2d:
        return nn.Conv2d(channels, fields * self.order, size, padding=padding)

    def conv(self, in_fields: int, out_fields: int, size: int = 3, padding: int = 0) -> nn.Conv2d:
        return self.lift(in_fields * self.order, out_fields, size, padding)

    def norm(self, fields: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(fields * self.order)
