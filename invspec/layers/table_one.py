"""The layers of Table 1 of Kamath et al., which StdCNN and GCNN share."""

from __future__ import annotations

from pydantic import Field, PositiveInt
from torch import nn

from invspec.layers.standardise import StandardisingModel
from invspec.ops.types import Shape

KERNEL = 3  # of every convolution; none is padded


class TableOne(StandardisingModel):
    """The fields of both nets of Table 1."""

    widths: tuple[PositiveInt, PositiveInt] = Field(
        default=(10, 20), description="channels of the first and the last two convolutions"
    )
    hidden: int = Field(default=50, ge=1, description="units of the hidden linear layer")
    dropout: float = Field(
        default=0.5, ge=0, lt=1, description="share of hidden units dropped in training"
    )

    def fans(self, channels: int) -> list[tuple[int, int]]:
        """Channels in and out of the four convolutions."""
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
        """Height and width of what the last max-pooling gives. Raises ValueError where nothing is left."""
        _, height, width = shape
        if min(height, width) < 16:
            raise ValueError(
                f"{type(self).__name__} needs images of at least 16x16, found {height}x{width}"
            )
        return _pooled(height), _pooled(width)


def _pooled(size: int) -> int:
    for _ in range(2):
        size = (size - 2 * (KERNEL - 1)) // 2
    return size


def features(
    first: nn.Module, second: nn.Module, third: nn.Module, fourth: nn.Module
) -> nn.Sequential:
    """Four convolutions with ReLU after each and 2 x 2 max-pooling after every other one."""
    return nn.Sequential(
        *(first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2)),
        *(third, nn.ReLU(), fourth, nn.ReLU(), nn.MaxPool2d(2)),
    )
