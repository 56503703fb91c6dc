"""Gaussian noise on the input of a model."""

from __future__ import annotations

from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.kinds import Model, Number, Standardised
from invspec.ops.types import Shape
from invspec.registry.fields import ModelField, default


class Noisy(Model):
    """Any model whose images get Gaussian noise before each pass, in training and afterwards.

    Its prediction is the class of largest mean probability over `passes` draws of the noise, which
    depend on the image alone. Attacks see a new draw in every pass: give them eot.

    Deviates: the paper takes the majority of predictions, and abstains where it is not significant.
    """

    model: ModelField = default(
        "model", "mlp", description="the model to whose images noise is added"
    )
    sigma: Number = Field(
        default=0.25, ge=0, description="standard deviation of the noise, in pixels of [0, 1]"
    )
    passes: int = Field(
        default=16,
        ge=1,
        description="draws of the noise over which probabilities are averaged",
    )

    @property
    def random_passes(self) -> int:
        return self.passes

    def build(self, shape: Shape, classes: int) -> NoisyNet:
        net = self.model.build(shape, classes)
        kind = StandardisedNoisyNet if isinstance(net, Standardised) else NoisyNet
        return kind(net, self.sigma)

    def deploy(self, net: nn.Module) -> nn.Module:
        noisy = cast(NoisyNet, super().deploy(net))
        noisy.net = self.model.deploy(noisy.net)
        return noisy


class NoisyNet(nn.Module):
    """A net that adds noise to its images."""

    def __init__(self, net: nn.Module, sigma: float) -> None:
        super().__init__()
        self.net, self.sigma = net, sigma

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K), with another draw of the noise in each pass."""
        # drawn on the CPU, so that a GPU gets the same noise
        return self.net(x + self.sigma * torch.randn(x.shape).to(x))


class StandardisedNoisyNet(NoisyNet):
    """A NoisyNet around a net that standardises its input."""

    @property
    def pixel_std(self) -> Tensor:
        """(C,), in units of the [0, 1] pixel range."""
        return cast(Standardised, self.net).pixel_std
