"""The convolutional nets of CIFAR-10 airbench, which learn fast."""

from __future__ import annotations

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from invspec.layers.pooling import SpatialMax
from invspec.layers.standardise import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    Mean,
    StandardisedNet,
    StandardisingModel,
    Std,
)
from invspec.layers.whitening import PatchWhitening
from invspec.ops.types import Shape

# the logits are divided by this, as in airbench
LOGIT_SCALE = 9


class Airbench(StandardisingModel):
    """Whitened 2 x 2 patches, three groups of 3 x 3 convolutions, global maximum, one linear layer.

    Each group halves the map by max-pooling after its first convolution. Batch norm and GELU follow
    every convolution. A convolution starts as the identity on as many channels as it can. Trainings
    compute the whitening from the first images.

    Trained against a single step, a whitened net resisted that step and no other within an epoch.
    With whitened false, a learned 3 x 3 convolution of the first group's width takes its place.

    Deviates: batch norms have a scale, torch's momentum and one learning rate with the rest;
    airbench leaves out the scale, averages with momentum 0.6 and learns biases 64 times as fast.
    The bias of the whitening is learned throughout; airbench freezes it after three epochs.
    """

    mean: Mean = CIFAR10_MEAN
    std: Std = CIFAR10_STD
    widths: tuple[PositiveInt, ...] = Field(
        default=(64, 256, 256), min_length=1, description="channels of each group"
    )
    whitened: bool = Field(
        default=True,
        description="read whitened patches that are not learned; else a learned convolution",
    )
    residual: bool = Field(
        default=False,
        description="a third convolution in each group, and a shortcut past the last two, as in "
        "the larger nets of airbench",
    )

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        net, width = self._first(shape[0])
        for fan_out in self.widths:
            net.append(Group(width, fan_out, residual=self.residual))
            width = fan_out
        net.extend([SpatialMax(), nn.Linear(width, classes, bias=False), Divided(LOGIT_SCALE)])
        return self.standardised(net, shape[0])

    def _first(self, channels: int) -> tuple[nn.Sequential, int]:
        """The layers before the groups, and the number of channels that they give."""
        if self.whitened:
            whitening = PatchWhitening(channels, size=2)
            return nn.Sequential(whitening, nn.GELU()), len(whitening.bias)
        width = self.widths[0]
        return nn.Sequential(conv(channels, width), nn.BatchNorm2d(width), nn.GELU()), width


class Group(nn.Module):
    """Convolution, 2 x 2 max-pooling, then one more convolution, or two with a shortcut."""

    def __init__(self, fan_in: int, fan_out: int, *, residual: bool) -> None:
        super().__init__()
        # maps of odd size lose their last row and column
        self.reduce = nn.Sequential(
            *(conv(fan_in, fan_out), nn.MaxPool2d(2), nn.BatchNorm2d(fan_out), nn.GELU())
        )
        self.rest = nn.Sequential(conv(fan_out, fan_out), nn.BatchNorm2d(fan_out))
        if residual:
            self.rest.extend([nn.GELU(), conv(fan_out, fan_out), nn.BatchNorm2d(fan_out)])
        self.residual, self.activate = residual, nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        return self.activate(x + self.rest(x) if self.residual else self.rest(x))


class Divided(nn.Module):
    """x / divisor."""

    def __init__(self, divisor: float) -> None:
        super().__init__()
        self.divisor = divisor

    def forward(self, x: Tensor) -> Tensor:
        return x / self.divisor


@torch.no_grad()
def conv(fan_in: int, fan_out: int) -> nn.Conv2d:
    """A padded 3 x 3 convolution without bias, whose first fan_in outputs copy its inputs."""
    layer = nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[: min(fan_in, fan_out)])
    return layer
