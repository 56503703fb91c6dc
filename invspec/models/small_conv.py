"""Small convolutional nets from the literature on verified robustness, with published weights."""

from __future__ import annotations

from pydantic import Field, PositiveInt
from torch import nn

from invspec.layers.standardise import Mean, StandardisedNet, StandardisingModel, Std
from invspec.ops.types import Shape

# Kernel size and stride of both convolutions.
KERNEL, STRIDE = 4, 2


class SmallConv(StandardisingModel):
    """Two 4 x 4 convolutions of stride 2, then linear layers, with ReLU between them.

    The default mean and std leave the pixels as they are.
    """

    mean: Mean = (0.0,)
    std: Std = (1.0,)
    padding: int = Field(
        default=1, ge=0, description="zero padding of both convolutions, in pixels"
    )
    widths: tuple[PositiveInt, PositiveInt] = Field(
        default=(16, 32), description="channels of the two convolutions"
    )
    hidden: tuple[PositiveInt, ...] = Field(
        default=(100,), description="units of each hidden linear layer"
    )

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        channels, height, width = shape
        narrow, wide = self.widths
        maps = [
            *(nn.Conv2d(channels, narrow, KERNEL, STRIDE, self.padding), nn.ReLU()),
            *(nn.Conv2d(narrow, wide, KERNEL, STRIDE, self.padding), nn.ReLU()),
        ]
        features = wide * self._map_size(height) * self._map_size(width)
        net = nn.Sequential(*maps, nn.Flatten(), *self._linears(features, classes))
        return self.standardised(net, channels)

    def _map_size(self, size: int) -> int:
        """Height or width of the second map. Raises ValueError if it is 0."""
        map_size = size
        for _ in range(2):
            map_size = (map_size + 2 * self.padding - KERNEL) // STRIDE + 1
        if map_size < 1:
            raise ValueError(
                f"images with a side of {size} pixels are too small for two {KERNEL}x{KERNEL} "
                f"convolutions of stride {STRIDE}"
            )
        return map_size

    def _linears(self, features: int, classes: int) -> list[nn.Module]:
        *fans, last = zip((features, *self.hidden), (*self.hidden, classes), strict=True)
        hidden: list[nn.Module] = [layer for fan in fans for layer in (nn.Linear(*fan), nn.ReLU())]
        return [*hidden, nn.Linear(*last)]
