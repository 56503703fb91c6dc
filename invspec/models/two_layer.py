"""A net with one hidden layer, whose null space has a closed form."""

from __future__ import annotations

import math

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from invspec.kinds import Model
from invspec.ops.types import Shape


class TwoLayer(Model):
    """A linear layer on the flattened, unstandardised pixels, ReLU, and a linear layer.

    It computes in the precision of its input, so that an analysis in float64 needs no second net.

    Deviates: the paper also mentions 1000 hidden units. The published nets have 500, with which the
    first layer has a null space on the 784 pixels of MNIST.
    """

    hidden: int = Field(default=500, ge=1, description="units of the hidden layer")

    def build(self, shape: Shape, classes: int) -> TwoLayerNet:
        return TwoLayerNet(math.prod(shape), self.hidden, classes)


class TwoLayerNet(nn.Module):
    """x (B, C, H, W) to logits (B, K) = W2 relu(W1 x + b1) + b2."""

    def __init__(self, pixels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(pixels, hidden), nn.Linear(hidden, classes)

    @property
    def hidden_weight(self) -> Tensor:
        """W1, (h, D)."""
        return self.first.weight

    @property
    def hidden_bias(self) -> Tensor:
        """b1, (h,)."""
        return self.first.bias

    @property
    def output_weight(self) -> Tensor:
        """W2, (K, h)."""
        return self.second.weight

    @property
    def output_bias(self) -> Tensor:
        """b2, (K,)."""
        return self.second.bias

    def forward(self, x: Tensor) -> Tensor:
        w1, b1, w2, b2 = (
            weight.to(x.dtype) for weight in (*self.first.parameters(), *self.second.parameters())
        )
        return F.linear(F.linear(x.flatten(1), w1, b1).relu(), w2, b2)
