"""The invertible net that fully invertible ones come from, whose logits are a projection of its code."""

from __future__ import annotations

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from invspec.flows.bijective_net import MemoryField, halvable, squeezed
from invspec.flows.invertible import AdditiveCoupling, ChannelReversal, Invertible, Rescale, Squeeze
from invspec.flows.reversible import Run
from invspec.kinds import Model
from invspec.layers.residual import conv3x3
from invspec.ops.types import Shape


class IRevNet(Model):
    """A bijective backbone of pre-activation bottlenecks, then batch norm, ReLU, the mean over positions, a linear layer.

    Pixels go to [-1, 1], then through `input_squeezes` squeezes; each stage but the first begins with one more. A block
    is (a, b) -> (b + t(a), a), where t has three 3 x 3 convolutions, each after batch norm and ReLU but for the very
    first. Blocks 6, 16, 72, 6 of three convolutions are the 300 layers that were trained on ImageNet.

    The net is no kinds.Bijective, since its logits are not a part of its code; `backbone` can be undone.

    Deviates: where a stage begins the backbone is squeezed first, so that t reads the squeezed map; the published blocks
    squeeze beside t, whose first convolution has stride 2. Halves change places with their channels in reverse order,
    which relabels channels. Channel counts are those of the squeezed image: the injective nets, which pad it with
    zeros, are not to be had. The momentum of the last batch norm is torch's 0.1, as that of all others; theirs is 0.9.

    Raises: ValueError where a map cannot be squeezed or halved.
    """

    blocks: tuple[PositiveInt, ...] = Field(
        default=(6, 16, 72, 6), min_length=1, description="blocks in each stage"
    )
    input_squeezes: int = Field(default=2, ge=0, description="squeezes before the first stage")
    bottleneck: int = Field(
        default=4, ge=1, description="the inner convolutions have a half's channels divided by it"
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
    """x (B, C, H, W) through the backbone, a bijection, to logits (B, K)."""

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
