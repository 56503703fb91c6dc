"""The precision of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import nn

Precision = Literal["float32", "tf32", "bfloat16"]


@runtime_checkable
class HasPrecision(Protocol):
    """A defence that trains in the precision that its field says.

    It may say "auto". A plan then chooses a precision, so that no task ever has "auto".
    """

    @property
    def precision(self) -> Precision | Literal["auto"]:
        """The precision of passes through the model."""
        ...

    def proxy(self, model: nn.Module) -> nn.Module:
        """The model as the training calls it."""
        ...
