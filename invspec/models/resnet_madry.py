"""The CIFAR-10 net of Madry et al., the wide residual net w32-10."""

from __future__ import annotations

import math
from typing import Self

import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from invspec.kinds import Model
from invspec.layers.residual import conv3x3
from invspec.layers.standardise import StandardisePerImage
from invspec.ops.types import Shape

# Slope of the leaky ReLU for negative values.
SLOPE = 0.1

# eps of batch norm. Its decay of 0.9 in TensorFlow is torch's default momentum of 0.1.
NORM_EPS = 1e-3


class ResNetMadry(Model):
    """Three groups of pre-activation residual units with leaky ReLU, global mean, one linear layer.

    Every image is standardised by its own mean and deviation inside the net, so that attacks work
    on pixels and gradients pass through. The second and third groups halve the map.

    Deviates: the deviation of an image is at least 1 / sqrt(D) for pixels in [0, 1], where theirs
    are in [0, 255] (that is 0.018; no CIFAR-10 image is below 0.038). Strided convolutions are
    padded on both sides; theirs on one.
    """

    widths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = Field(
        default=(16, 160, 320, 640),
        description="channels of the first convolution and of the three groups",
    )
    units: int = Field(default=5, ge=1, description="residual units in each group")

    def smoke(self) -> Self:
        """A narrow net with two units per group: one epoch of the full net takes minutes."""
        first, second, third, fourth = map(min, self.widths, (4, 8, 12, 16))
        narrow = {"widths": (first, second, third, fourth), "units": min(self.units, 2)}
        return self.model_copy(update=narrow)

    def build(self, shape: Shape, classes: int) -> nn.Sequential:
        channels, height, width = shape
        if height % 4 or width % 4:
            raise ValueError(
                f"ResNetMadry needs a height and width divisible by 4, found {height}x{width}"
            )
        first, *_, last = self.widths
        net = nn.Sequential(
            StandardisePerImage(), conv3x3(channels, first), *self._units(), *_activation(last)
        )
        net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes)])
        net.apply(_initialise)
        return net

    def _units(self) -> list[PreActivationUnit]:
        units: list[PreActivationUnit] = []
        for fan_in, fan_out, stride in zip(self.widths, self.widths[1:], (1, 2, 2), strict=False):
            # activate_shortcut: in the very first unit only, as in the authors' code
            units.append(PreActivationUnit(fan_in, fan_out, stride, activate_shortcut=not units))
            units += [PreActivationUnit(fan_out, fan_out) for _ in range(self.units - 1)]
        return units


class PreActivationUnit(nn.Module):
    """residual(activation(x)) + shortcut(x); the first unit's shortcut reads activation(x), too.

    The shortcut has no weights: it averages where the map shrinks and adds channels of zeros where
    it widens.
    """

    def __init__(
        self, fan_in: int, fan_out: int, stride: int = 1, *, activate_shortcut: bool = False
    ) -> None:
        super().__init__()
        self.activate_shortcut = activate_shortcut
        self.activation = _activation(fan_in)
        self.residual = nn.Sequential(
            conv3x3(fan_in, fan_out, stride), *_activation(fan_out), conv3x3(fan_out, fan_out)
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(stride), PadChannels(fan_out - fan_in))

    def forward(self, x: Tensor) -> Tensor:
        activated = self.activation(x)
        return self.residual(activated) + self.shortcut(activated if self.activate_shortcut else x)


class PadChannels(nn.Module):
    """Add channels of zeros, half before and half after: (B, C, H, W) to (B, C + extra, H, W)."""

    def __init__(self, extra: int) -> None:
        super().__init__()
        if extra < 0:
            raise ValueError(f"widths must not decrease; a group has {-extra} channels fewer")
        self.before, self.after = extra // 2, extra - extra // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))


def _activation(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels, NORM_EPS), nn.LeakyReLU(SLOPE))


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        fan_out = layer.out_channels * math.prod(layer.kernel_size)
        # He et al.'s initialisation, by fan-out
        nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
    if isinstance(layer, nn.Linear):
        # TensorFlow's uniform_unit_scaling_initializer
        limit = math.sqrt(3 / layer.in_features)
        nn.init.uniform_(layer.weight, -limit, limit)
        nn.init.zeros_(layer.bias)
