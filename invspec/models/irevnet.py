"""i-RevNet, whose logits are a projection of an invertible code."""

from __future__ import annotations

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from invspec.flows.couplings import AdditiveCoupling, halvable
from invspec.flows.invertible import Invertible
from invspec.flows.layers import ChannelReversal, Rescale, Squeeze, squeezed
from invspec.flows.reversible import MemoryField, Run
from invspec.kinds import Model
from invspec.layers.residual import conv3x3
from invspec.ops.types import Shape


class IRevNet(Model):
    """A bijective backbone of pre-activation bottlenecks, then batch norm, ReLU, mean and linear.

    Pixels are scaled to [-1, 1] and squeezed `input_squeezes` times; each stage but the first
    begins with one more squeeze. A block is (a, b) -> (b + t(a), a), where t has three 3 x 3
    convolutions, each after batch norm and ReLU, except the very first. Blocks 6, 16, 72, 6 of
    three convolutions are the 300 layers that were trained on ImageNet.

    The net does not implement kinds.Bijective, because its logits are not part of its code;
    `backbone` is invertible.

    Deviates: a stage squeezes its input first, so that t reads the squeezed map; published blocks
    squeeze in parallel to t, whose first convolution has stride 2. The halves are swapped with
    their channels in reverse order, which only relabels channels. The number of channels is that of
    the squeezed image; the injective nets, which pad it with zeros, are not offered. The momentum
    of the last batch norm is torch's 0.1, like that of all others; theirs is 0.9.

    Raises: ValueError if a map cannot be squeezed or halved.
    """

    blocks: tuple[PositiveInt, ...] = Field(
        default=(6, 16, 72, 6), min_length=1, description="blocks in each stage"
    )
    input_squeezes: int = Field(default=2, ge=0, description="squeezes before the first stage")
    bottleneck: int = Field(
        default=4,
        ge=1,
        description="the inner convolutions have a half's channels divided by this number",
    )
    memory: MemoryField = "stored"

    def build(self, shape: Shape, classes: int) -> IRevNetNet:
        layers: list[Invertible] = [Rescale(2, -1)]
        for stage, blocks in enumerate(self.blocks):
            for _ in range(1 if stage else self.input_squeezes):
                layers.append(Squeeze())
                shape = squeezed(shape)
            half = halvable(shape)[0] // 2
            for block in range(blocks):
                # the very first convolution reads pixels, which need no batch norm and ReLU
                layers += [self._coupling(half, first=stage == block == 0), ChannelReversal()]
        return IRevNetNet(Run(layers, self.memory), shape[0], classes)

    def _coupling(self, channels: int, first: bool) -> AdditiveCoupling:
        narrow = max(1, channels // self.bottleneck)
        before = [] if first else activation(channels)
        return AdditiveCoupling(
            nn.Sequential(
                *(*before, conv3x3(channels, narrow)),
                *(*activation(narrow), conv3x3(narrow, narrow)),
                *(*activation(narrow), conv3x3(narrow, channels)),
            )
        )


class IRevNetNet(nn.Module):
    """x (B, C, H, W) through an invertible backbone to logits (B, K)."""

    def __init__(self, backbone: Run, channels: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.readout = nn.Sequential(
            *activation(channels),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.backbone(x)[0])


def activation(channels: int) -> tuple[nn.Module, nn.Module]:
    """Batch norm and ReLU."""
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
