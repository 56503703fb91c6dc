"""The layers of Table 1 of Kamath et al., which StdCNN and GCNN share."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field, PositiveInt
from torch import nn

from invspec.layers.standardise import StandardisingModel
from invspec.ops.types import Shape

# Size of every kernel; no convolution is padded.
KERNEL = 3

# Smallest height and width that leave a map after both max-poolings.
MIN_SIDE = 16


class TableOne(StandardisingModel):
    """The fields that StdCNN and GCNN share, and their classifier."""

    widths: tuple[PositiveInt, PositiveInt] = Field(
        default=(10, 20), description="channels of the first two and of the last two convolutions"
    )
    hidden: int = Field(default=50, ge=1, description="units of the hidden linear layer")
    dropout: float = Field(
        default=0.5, ge=0, lt=1, description="share of hidden units dropped in training"
    )

    def fans(self, channels: int) -> list[tuple[int, int]]:
        """Input and output channels of the four convolutions."""
        narrow, wide = self.widths
        return [(channels, narrow), (narrow, narrow), (narrow, wide), (wide, wide)]

    def classifier(self, features: int, classes: int) -> nn.Sequential:
        """Flattened features (B, features) to logits (B, K)."""
        return nn.Sequential(
            nn.Linear(features, self.hidden),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, classes),
        )

    def pooled(self, shape: Shape) -> tuple[int, int]:
        """Height and width after the last max-pooling. Raises ValueError if they are 0."""
        _, height, width = shape
        if min(height, width) < MIN_SIDE:
            raise ValueError(
                f"{type(self).__name__} needs images of at least {MIN_SIDE}x{MIN_SIDE}, "
                f"found {height}x{width}"
            )
        return _pooled(height), _pooled(width)


def _pooled(size: int) -> int:
    for _ in range(2):
        # two unpadded convolutions, then a max-pooling
        size = (size - 2 * (KERNEL - 1)) // 2
    return size


def max_pooling() -> nn.Module:
    """The max-pooling of the table."""
    return nn.MaxPool2d(2)


def features(
    first: nn.Module,
    second: nn.Module,
    third: nn.Module,
    fourth: nn.Module,
    pool: Callable[[], nn.Module] = max_pooling,
) -> nn.Sequential:
    """Four convolutions with ReLU, and 2 x 2 max-pooling after the second and fourth."""
    return nn.Sequential(
        *(first, nn.ReLU(), second, nn.ReLU(), pool()),
        *(third, nn.ReLU(), fourth, nn.ReLU(), pool()),
    )
