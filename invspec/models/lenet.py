"""The MNIST net of Madry et al., which Maini et al. use, too."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from invspec.kinds import Model
from invspec.ops.types import Shape


class LeNet(Model):
    """Two padded 5 x 5 convolutions with ReLU and 2 x 2 max-pooling, then two linear layers.

    Reads unstandardised pixels. With initialisation truncated_normal, weights start from a normal
    distribution of deviation 0.1, truncated at two deviations, and biases at 0.1; with torch, both
    are uniform within 1 / sqrt(fan in).
    """

    widths: tuple[PositiveInt, PositiveInt] = Field(
        default=(32, 64), description="channels of the two convolutions"
    )
    hidden: int = Field(default=1024, ge=1, description="units of the hidden linear layer")
    initialisation: Literal["truncated_normal", "torch"] = Field(
        default="truncated_normal",
        description="initial weights: truncated_normal, or torch's own",
    )

    def build(self, shape: Shape, classes: int) -> nn.Sequential:
        channels, height, width = shape
        if min(height, width) < 4:
            raise ValueError(f"LeNet needs images of at least 4x4, found {height}x{width}")
        narrow, wide = self.widths
        net = nn.Sequential(
            *(nn.Conv2d(channels, narrow, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(narrow, wide, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(wide * (height // 4) * (width // 4), self.hidden), nn.ReLU()),
            nn.Linear(self.hidden, classes),
        )
        if self.initialisation == "truncated_normal":
            net.apply(_initialise)
        return net


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        # as TensorFlow's truncated_normal, which cuts at two deviations
        nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.2, b=0.2)
        assert layer.bias is not None, "every layer of LeNet has a bias"
        nn.init.constant_(layer.bias, 0.1)
