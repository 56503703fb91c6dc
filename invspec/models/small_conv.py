"""The small nets of the literature on verified robustness, for which there are published weights."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from invspec.layers.standardise import Mean, StandardisedNet, StandardisingModel, Std
from invspec.ops.types import Shape

KERNEL, STRIDE = 4, 2  # of both convolutions of SmallConv


class SmallConv(StandardisingModel):
    """Two 4 x 4 convolutions of stride 2, then linear layers, with ReLU between all of them.

    mean 0 and std 1, the defaults, leave the pixels as they are.
    """

    mean: Mean = (0.0,)
    std: Std = (1.0,)
    padding: int = Field(
        default=1, ge=0, description="pixels of zeros around the maps, for both convolutions"
    )
    widths: tuple[PositiveInt, PositiveInt] = Field(
        default=(16, 32), description="channels of the two convolutions"
    )
    hidden: tuple[PositiveInt, ...] = Field(
        default=(100,), description="units of the hidden linear layers, in order"
    )

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        channels, height, width = shape
        narrow, wide = self.widths
        maps = [
            *(nn.Conv2d(channels, narrow, KERNEL, STRIDE, self.padding), nn.ReLU()),
            *(nn.Conv2d(narrow, wide, KERNEL, STRIDE, self.padding), nn.ReLU()),
        ]
        read = wide * self._left(height) * self._left(width)
        return self.standardised(
            nn.Sequential(*maps, nn.Flatten(), *self._linears(read, classes)), channels
        )

    def _left(self, size: int) -> int:
        """Height or width of the second map. Raises ValueError where nothing is left."""
        left = size
        for _ in range(2):
            left = (left + 2 * self.padding - KERNEL) // STRIDE + 1
        if left < 1:
            raise ValueError(f"two 4x4 convolutions of stride 2 leave nothing of {size} pixels")
        return left

    def _linears(self, read: int, classes: int) -> list[nn.Module]:
        *fans, last = zip((read, *self.hidden), (*self.hidden, classes), strict=True)
        hidden: list[nn.Module] = [layer for fan in fans for layer in (nn.Linear(*fan), nn.ReLU())]
        return [*hidden, nn.Linear(*last)]


class ResNet2B(StandardisingModel):
    """A 3 x 3 convolution of stride 2, two residual blocks without batch norm, and two linear layers.

    mean 0 and std 1, the defaults, leave the pixels as they are.
    """

    mean: Mean = (0.0,)
    std: Std = (1.0,)
    widths: tuple[PositiveInt, PositiveInt] = Field(
        default=(8, 16), description="channels of the stem and the blocks"
    )
    hidden: int = Field(default=100, ge=1, description="units of the hidden linear layer")

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        channels, height, width = shape
        positions = -(-height // 4) * -(-width // 4)
        return self.standardised(
            _ResNet2B([channels, *self.widths], positions, self.hidden, classes), channels
        )


class _ResNet2B(nn.Module):
    """Named as the published weights are."""

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
    """relu(conv2(relu(conv1(x))) + shortcut(x)); a 1 x 1 convolution is the shortcut where the shape changes."""

    def __init__(self, fan_in: int, fan_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, 1)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, 1, 1)
        changes = stride != 1 or fan_in != fan_out
        self.shortcut = nn.Sequential(*([nn.Conv2d(fan_in, fan_out, 1, stride)] if changes else []))

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x).relu()) + self.shortcut(x)).relu()
