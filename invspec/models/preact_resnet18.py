"""ResNet-18 with pre-activation blocks, as Maini et al. train it."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from invspec.layers.residual import conv3x3, groups
from invspec.layers.standardise import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    Mean,
    StandardisedNet,
    StandardisingModel,
    Std,
)
from invspec.ops.types import Shape


class PreActResNet18(StandardisingModel):
    """A 3 x 3 convolution, four groups of two pre-activation blocks, global mean, one linear layer.

    The groups have 1, 2, 4 and 8 times `width` channels; each but the first halves the map. The
    mean is over 4 x 4 positions on CIFAR.

    Deviates from He et al.: there is no batch norm and ReLU between the last block and the mean, as
    in Maini et al.'s code.
    """

    mean: Mean = CIFAR10_MEAN
    std: Std = CIFAR10_STD
    width: int = Field(default=64, ge=1, description="channels of the stem and the first group")

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        widths = [self.width, 2 * self.width, 4 * self.width, 8 * self.width]
        net = nn.Sequential(conv3x3(shape[0], self.width), *groups(PreActBlock, widths, blocks=2))
        net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes)])
        return self.standardised(net, shape[0])


class PreActBlock(nn.Module):
    """residual(a) + x, where a = relu(batch norm(x)).

    Where the shape changes, a 1 x 1 convolution of a replaces x.
    """

    def __init__(self, fan_in: int, fan_out: int, stride: int = 1) -> None:
        super().__init__()
        self.activate = nn.Sequential(nn.BatchNorm2d(fan_in), nn.ReLU())
        self.residual = nn.Sequential(
            *(conv3x3(fan_in, fan_out, stride), nn.BatchNorm2d(fan_out), nn.ReLU()),
            conv3x3(fan_out, fan_out),
        )
        reshapes = stride != 1 or fan_in != fan_out
        self.shortcut = nn.Conv2d(fan_in, fan_out, 1, stride, bias=False) if reshapes else None

    def forward(self, x: Tensor) -> Tensor:
        activated = self.activate(x)
        return self.residual(activated) + (x if self.shortcut is None else self.shortcut(activated))
