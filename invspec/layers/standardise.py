"""Standardisation inside the net, so that every attack sees pixels."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.kinds import Model, Number

Mean = Annotated[
    tuple[Number, ...],
    Field(min_length=1, description="subtracted from the pixels: one value, or one a channel"),
]


Std = Annotated[
    tuple[Annotated[Number, Field(gt=0)], ...],
    Field(min_length=1, description="what they are then divided by: one value, or one a channel"),
]


CIFAR10_MEAN, CIFAR10_STD = (
    (0.4914, 0.4822, 0.4465),
    (0.2470, 0.2435, 0.2616),
)  # of the 50,000 training images


class Standardise(nn.Module):
    """(x - mean) / std per channel; mean and std are settings, so no checkpoint holds them."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], channels: int) -> None:
        super().__init__()
        for name, values in {"mean": mean, "std": std}.items():
            if len(values) not in (1, channels):
                raise ValueError(
                    f"{name} has {len(values)} values, the images have {channels} channels"
                )
            per_channel = torch.tensor(values).expand(channels).reshape(-1, 1, 1).clone()
            self.register_buffer(name, per_channel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class StandardisePerImage(nn.Module):
    """(x - mean) / max(std, 1 / sqrt(D)) with each image's own mean and deviation over its D numbers, (B, C, H, W).

    Gradients pass through both; the maximum keeps them finite where an image is of one colour.
    """

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean((1, 2, 3), keepdim=True)
        variance = centred.square().mean((1, 2, 3), keepdim=True)
        return centred / variance.clamp_min(1 / math.prod(x.shape[1:])).sqrt()


class StandardisedNet(nn.Module):
    """A net behind its standardisation: what attacks whose eps is in standardised units ask for."""

    def __init__(self, standardise: Standardise, net: nn.Module) -> None:
        super().__init__()
        self.standardise, self.net = standardise, net

    @property
    def pixel_std(self) -> Tensor:
        """(C,), in units of the [0, 1] pixel range."""
        return self.standardise.std.flatten()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self.standardise(x))


class StandardisingModel(Model):
    """A model whose net subtracts a mean and divides by a standard deviation first."""

    mean: Mean = (0.1307,)
    std: Std = (0.3081,)

    def standardised(self, net: nn.Module, channels: int) -> StandardisedNet:
        """The net with this model's standardisation before it."""
        return StandardisedNet(Standardise(self.mean, self.std, channels), net)
