"""Standardisation inside the net, so that every attack sees pixels."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.kinds import Model, Number


class Standardise(nn.Module):
    """(x - mean) / std per channel; mean and std are settings, so no checkpoint holds them."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], channels: int) -> None:
        super().__init__()
        for name, values in {"mean": mean, "std": std}.items():
            if len(values) not in (1, channels):
                raise ValueError(f"{name} has {len(values)} values, the images have {channels} channels")
            per_channel = torch.tensor(values).expand(channels).reshape(-1, 1, 1).clone()
            self.register_buffer(name, per_channel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


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

    mean: tuple[Number, ...] = Field(
        default=(0.1307,), min_length=1, description="subtracted from the pixels: one value, or one a channel"
    )
    std: tuple[Annotated[Number, Field(gt=0)], ...] = Field(
        default=(0.3081,), min_length=1, description="what they are then divided by: one value, or one a channel"
    )

    def standardised(self, net: nn.Module, channels: int) -> StandardisedNet:
        """The net with this model's standardisation before it."""
        return StandardisedNet(Standardise(self.mean, self.std, channels), net)
