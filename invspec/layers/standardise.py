"""Standardisation inside the net, so that every attack works on pixels."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.kinds import Model, Number

Mean = Annotated[
    tuple[Number, ...],
    Field(min_length=1, description="subtracted from the pixels: one value, or one per channel"),
]

Std = Annotated[
    tuple[Annotated[Number, Field(gt=0)], ...],
    Field(min_length=1, description="divides the result: one value, or one per channel"),
]

# Statistics of the 50,000 training images.
CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Standardise(nn.Module):
    """(x - mean) / std per channel. Both are settings, so they are not in the state dict."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], channels: int) -> None:
        super().__init__()
        for name, values in {"mean": mean, "std": std}.items():
            if len(values) not in (1, channels):
                raise ValueError(
                    f"{name} has {len(values)} values, but the images have {channels} channels; "
                    f"give 1 or {channels}"
                )
            per_channel = torch.tensor(values).expand(channels).reshape(-1, 1, 1).clone()
            self.register_buffer(name, per_channel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class StandardisePerImage(nn.Module):
    """(x - mean) / max(std, 1 / sqrt(D)) with each image's own mean and deviation, (B, C, H, W).

    D is the number of entries of an image. Gradients pass through both statistics; the maximum
    keeps them finite for an image of one colour.
    """

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean((1, 2, 3), keepdim=True)
        variance = centred.square().mean((1, 2, 3), keepdim=True)
        return centred / variance.clamp_min(1 / math.prod(x.shape[1:])).sqrt()


class StandardisedNet(nn.Module):
    """A net behind its standardisation; implements kinds.Centred."""

    def __init__(self, standardise: Standardise, net: nn.Module) -> None:
        super().__init__()
        self.standardise, self.net = standardise, net

    @property
    def pixel_mean(self) -> Tensor:
        """(C,), in units of the [0, 1] pixel range."""
        return self.standardise.mean.flatten()

    @property
    def pixel_std(self) -> Tensor:
        """(C,), in units of the [0, 1] pixel range."""
        return self.standardise.std.flatten()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self.standardise(x))


class StandardisingModel(Model):
    """Base class of models that subtract a mean and divide by a standard deviation first."""

    # statistics of the 60,000 training images of MNIST
    mean: Mean = (0.1307,)
    std: Std = (0.3081,)

    def standardised(self, net: nn.Module, channels: int) -> StandardisedNet:
        """The net behind this model's standardisation."""
        return StandardisedNet(Standardise(self.mean, self.std, channels), net)
