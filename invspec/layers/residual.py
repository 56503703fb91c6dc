"""Residual blocks of 3 x 3 convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from torch import Tensor, nn


def residual_net(channels: int, widths: Sequence[int], blocks: int, classes: int) -> nn.Sequential:
    """A 3 x 3 stem, a group of `blocks` basic blocks per width, global mean, one linear layer."""
    net = nn.Sequential(conv3x3(channels, widths[0]), nn.BatchNorm2d(widths[0]), nn.ReLU())
    net.extend(groups(BasicBlock, widths, blocks))
    net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes)])
    return net.apply(_initialise)


def groups(
    block: Callable[[int, int, int], nn.Module], widths: Sequence[int], blocks: int
) -> Iterator[nn.Module]:
    """A group of `blocks` blocks per width, in order. Every group but the first halves the map.

    block takes the channels of its input and of its output, and a stride.
    """
    for group, (fan_in, fan_out) in enumerate(pairwise([widths[0], *widths])):
        yield block(fan_in, fan_out, 2 if group else 1)
        yield from (block(fan_out, fan_out, 1) for _ in range(blocks - 1))


class BasicBlock(nn.Module):
    """relu(residual(x) + shortcut(x)).

    The shortcut is a 1 x 1 convolution with batch norm where the shape changes.
    """

    def __init__(self, fan_in: int, fan_out: int, stride: int = 1) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *(conv3x3(fan_in, fan_out, stride), nn.BatchNorm2d(fan_out), nn.ReLU()),
            *(conv3x3(fan_out, fan_out), nn.BatchNorm2d(fan_out)),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or fan_in != fan_out:
            conv = nn.Conv2d(fan_in, fan_out, 1, stride, bias=False)
            self.shortcut.extend([conv, nn.BatchNorm2d(fan_out)])

    def forward(self, x: Tensor) -> Tensor:
        return (self.residual(x) + self.shortcut(x)).relu()


def conv3x3(fan_in: int, fan_out: int, stride: int = 1) -> nn.Conv2d:
    """A padded 3 x 3 convolution. It has no bias, because batch norm stands next to it."""
    return nn.Conv2d(fan_in, fan_out, 3, stride, padding=1, bias=False)


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        # fan_out keeps the size of gradients, not of activations
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
