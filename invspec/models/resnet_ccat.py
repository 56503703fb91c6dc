"""The residual net of confidence-calibrated adversarial training."""

from __future__ import annotations

from pydantic import Field, PositiveInt
from torch import nn

from invspec.kinds import Model
from invspec.layers.residual import residual_net
from invspec.ops.types import Shape


class CCATResNet(Model):
    """A 3 x 3 convolution, three groups of three basic blocks, global mean, one linear layer.

    Every group but the first halves the map; there is no max-pooling. The net reads unstandardised
    pixels. Its authors call it ResNet-20.

    Deviates: the linear layer starts from torch's own initial weights, theirs from normal ones.
    """

    widths: tuple[PositiveInt, ...] = Field(
        default=(64, 128, 256),
        min_length=1,
        description="channels of each group; the stem has those of the first group",
    )
    blocks: int = Field(default=3, ge=1, description="residual blocks in each group")

    def build(self, shape: Shape, classes: int) -> nn.Sequential:
        return residual_net(shape[0], self.widths, self.blocks, classes)
