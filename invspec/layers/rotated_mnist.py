"""The layers of Cohen and Welling's nets for rotated MNIST, which Z2CNN and P4CNN share."""

from __future__ import annotations

from torch import nn

from invspec.layers.factory import LayerFactory
from invspec.ops.types import Shape

# How many of the six 3 x 3 convolutions follow the max-pooling.
CONVS_AFTER_POOL = 4

# Smallest height and width: each of the six convolutions trims 2 pixels per side length, the
# max-pooling halves it, and the last kernel is 4 x 4.
MIN_SIDE = 28


def seven_layers(
    layers: LayerFactory, channels: int, fields: int, classes: int, dropout: float
) -> nn.Sequential:
    """Images (B, C, H, W) to logit maps (B, K * G, (H - 4) / 2 - 11, (W - 4) / 2 - 11)."""

    def unit(conv: nn.Module, after: nn.Module) -> list[nn.Module]:
        return [conv, layers.norm(fields), nn.ReLU(), after]

    net = nn.Sequential(*unit(layers.lift(channels, fields), nn.Dropout(dropout)))
    net.extend(unit(layers.conv(fields, fields), nn.MaxPool2d(2)))
    for _ in range(CONVS_AFTER_POOL):
        net.extend(unit(layers.conv(fields, fields), nn.Dropout(dropout)))
    return net.append(layers.conv(fields, classes, 4))


def require_large_enough(shape: Shape) -> None:
    """Raise ValueError for images that are too small for the seven convolutions."""
    _, height, width = shape
    if min(height, width) < MIN_SIDE:
        raise ValueError(
            f"seven convolutions need {MIN_SIDE}x{MIN_SIDE} or more, found {height}x{width}"
        )
