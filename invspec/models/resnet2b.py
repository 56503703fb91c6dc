"""The small residual net from the literature on verified robustness, with published weights."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from invspec.layers.standardise import Mean, StandardisedNet, StandardisingModel, Std
from invspec.ops.types import Shape


class ResNet2B(StandardisingModel):
    """A 3 x 3 convolution of stride 2, two residual blocks without batch norm, two linear layers.

    The default mean and std leave the pixels as they are.
    """

    mean: Mean = (0.0,)
    std: Std = (1.0,)
    widths: tuple[PositiveInt, PositiveInt] = Field(
        default=(8, 16), description="channels of the stem and the blocks"
    )
    hidden: int = Field(default=100, ge=1, description="units of the hidden linear layer")

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        channels, height, width = shape
        # Two strides of 2, each rounded up.
        positions = -(-height // 4) * -(-width // 4)
        net = _ResNet2B([channels, *self.widths], positions, self.hidden, classes)
        return self.standardised(net, channels)


class _ResNet2B(nn.Module):
    """The net; its parameters have the names of the published weights."""

    def __init__(self, widths: Sequence[int], positions: int, hidden: int, classes: int) -> None:
        super().__init__()
        channels, narrow, wide = widths
        self.conv1 = nn.Conv2d(channels, narrow, 3, 2, 1)
        self.layer1 = nn.Sequential(_Block(narrow, wide, 2), _Block(wide, wide, 1))
        self.linear1, self.linear2 = nn.Linear(wide * positions, hidden), nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.layer1(self.conv1(x).relu())
        return self.linear2(self.linear1(maps.flatten(1)).relu())


class _Block(nn.Module):
    """relu(conv2(relu(conv1(x))) + shortcut(x)).

    The shortcut is a 1 x 1 convolution where the shape changes.
    """

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, 1)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, 1, 1)
        changes = stride != 1 or fan_in != fan_out
        self.shortcut = nn.Sequential(*([nn.Conv2d(fan_in, fan_out, 1, stride)] if changes else []))

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x).relu()) + self.shortcut(x)).relu()
