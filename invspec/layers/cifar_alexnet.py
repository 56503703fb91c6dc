"""The convolutional part of Laidlaw et al.'s AlexNet for small images.

The model alexnet_cifar trains it; the distance laidlaw_alexnet_cifar compares its features.
"""

from __future__ import annotations

from torch import nn

WIDTHS = (64, 192, 384, 256, 256)

# Positions of the five ReLUs among the layers of `cifar_alexnet`; their outputs are compared.
RELUS = (1, 4, 7, 9, 11)


def cifar_alexnet(channels: int, widths: tuple[int, int, int, int, int] = WIDTHS) -> nn.Sequential:
    """Five 3 x 3 convolutions with ReLU: (B, C, 32, 32) to (B, 256, 2, 2)."""
    first, second, third, fourth, fifth = widths
    return nn.Sequential(
        *(nn.Conv2d(channels, first, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(second, third, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(third, fourth, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(fourth, fifth, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    )
