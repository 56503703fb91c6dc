"""The fully connected, fully invertible RevNet."""

from __future__ import annotations

import math

from pydantic import Field
from torch import nn

from invspec.flows.bijective_net import BijectiveNet
from invspec.flows.couplings import AdditiveCoupling
from invspec.flows.invertible import Invertible
from invspec.flows.layers import ChannelReversal, Flatten
from invspec.flows.readouts import FirstReadout
from invspec.flows.reversible import MemoryField, Run
from invspec.kinds import Model
from invspec.ops.types import Shape


class FullyConnectedFiRevNet(Model):
    """Additive couplings of the two halves of a vector; the logits are its first K entries.

    Couplings change the halves in turn, each through two hidden layers with ReLU. There are no
    norms, and the input is not rescaled.

    Raises: ValueError if an image has fewer entries than there are classes, or fewer than two.
    """

    blocks: int = Field(
        default=4, ge=1, description="couplings; each changes the half that the last one read"
    )
    hidden: int = Field(
        default=200, ge=1, description="units of each of the two hidden layers of a coupling"
    )
    memory: MemoryField = "stored"

    def build(self, shape: Shape, classes: int) -> BijectiveNet:
        length = math.prod(shape)
        if length < max(2, classes):
            raise ValueError(
                f"FullyConnectedFiRevNet needs at least {max(2, classes)} numbers per image for "
                f"{classes} classes, found {length}"
            )
        # if the length is odd, the first half is shorter, before and after a reversal
        half = length // 2
        layers: list[Invertible] = [Flatten(shape)]
        for _ in range(self.blocks):
            layers += [AdditiveCoupling(self._network(half, length - half)), ChannelReversal()]
        run, readout = Run(layers, self.memory), FirstReadout((length,), classes)
        return BijectiveNet([run], (length, 1, 1), readout, factor_out=False)

    def _network(self, fan_in: int, fan_out: int) -> nn.Sequential:
        return nn.Sequential(
            *(nn.Linear(fan_in, self.hidden), nn.ReLU()),
            *(nn.Linear(self.hidden, self.hidden), nn.ReLU()),
            nn.Linear(self.hidden, fan_out),
        )
