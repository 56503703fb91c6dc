"""Fully invertible nets: a bijection between images and codes, of which the first few numbers are the logits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from invspec.flows.bijective_net import (
    BijectiveNet,
    FirstReadout,
    MemoryField,
    SiteReadout,
    halvable,
    squeezed,
)
from invspec.flows.given_logits import TriangularGivenLogits
from invspec.flows.invertible import (
    ActNorm,
    AdditiveCoupling,
    AffineCoupling,
    ChannelReversal,
    Flatten,
    Invertible,
    Invertible1x1,
    Norm,
    Rescale,
    Squeeze,
    coupling_net,
)
from invspec.flows.reversible import Run
from invspec.kinds import Model
from invspec.ops.types import Shape

Readout = Literal["site", "dct", "first"]


class FiRevNet(Model):
    """Coupling blocks between squeezes, without a projection at the end: some numbers of the last map are the logits.

    Pixels go to [-1, 1], then through `input_squeezes` squeezes; each stage but the first begins with one more. A stage
    is so many blocks of actnorm, a permutation of the channels and a coupling. With factor_out half of the channels
    leave for the nuisance after each stage but the last.

    readout: the logits are the first K channels of the last map at one position (site), the same after an orthonormal
    DCT of every map at frequency 0 (dct), or the first K numbers of the flattened map (first). The nuisance is what the
    readout leaves of the last map (of site and dct: the other channels at that place, then the other places channel by
    channel), then the flattened halves that left, the last one first. With nuisance_given_logits, which is ours, these
    numbers then go through a map that depends on the logits: models.given_logits.TriangularGivenLogits.

    Deviates: an affine coupling's scale is at least 0.0025, so that decoding codes far from all images does not
    overflow. Logits have no batch norm of their own. Squares become channels with the input's channels outermost.
    Where "batch norm" stands it is inside of couplings, for a block has to be undone.

    Raises: ValueError where a map cannot be squeezed or halved, the site is outside of the last map, or that has too
    few channels.
    """

    stages: int = Field(
        default=3, ge=1, description="groups of blocks; a squeeze stands between two"
    )
    blocks: int = Field(default=16, ge=1, description="couplings in each stage")
    width: int = Field(
        default=128, ge=1, description="channels of the convolutions inside of couplings"
    )
    input_squeezes: int = Field(default=1, ge=0, description="squeezes before the first stage")
    coupling: Literal["additive", "affine", "affine_last"] = Field(
        default="additive",
        description="additive, affine, or affine_last: affine in the last stage, additive before",
    )
    permutation: Literal["invertible_1x1", "reversal"] = Field(
        default="invertible_1x1",
        description="of channels, before each coupling: a learnt matrix, or reversed order",
    )
    actnorm: bool = Field(
        default=True, description="learnt scale and shift of each channel before each permutation"
    )
    factor_out: bool = Field(
        default=True, description="half the channels leave after each stage but the last"
    )
    norm: Norm = Field(
        default="actnorm", description="inside of couplings: actnorm, batch_norm or none"
    )
    readout: Readout = Field(default="site", description="where the logits are: site, dct or first")
    site: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = Field(
        default=(2, 2), description="readout site: row and column in the last map"
    )
    nuisance_given_logits: bool = Field(
        default=False,
        description="last, the nuisance goes through a triangular map that the logits choose; ours",
    )
    memory: MemoryField = "stored"

    def build(self, shape: Shape, classes: int) -> BijectiveNet:
        shapes, runs = self.shapes(shape), list[Run]()
        for stage, inside in enumerate(shapes):
            squeezes = self.input_squeezes if stage == 0 else 1
            layers = [Rescale(2, -1)] if stage == 0 else []
            layers += [Squeeze() for _ in range(squeezes)]
            layers += [layer for _ in range(self.blocks) for layer in self._block(inside[0], stage)]
            runs.append(Run(layers, self.memory))
        last = (
            TriangularGivenLogits(classes, math.prod(shape) - classes)
            if self.nuisance_given_logits
            else None
        )
        return BijectiveNet(
            runs, shapes[-1], self._read(shapes[-1], classes), self.factor_out, last
        )

    def shapes(self, shape: Shape) -> list[Shape]:
        """The shape of the maps in each stage. Raises ValueError where one cannot be squeezed or halved."""
        for _ in range(self.input_squeezes):
            shape = squeezed(shape)
        found = [halvable(shape)]
        for _ in range(self.stages - 1):
            channels, height, width = found[-1]
            found.append(
                halvable(squeezed((channels // 2 if self.factor_out else channels, height, width)))
            )
        return found

    def _block(self, channels: int, stage: int) -> Iterator[Invertible]:
        if self.actnorm:
            yield ActNorm(channels)
        yield Invertible1x1(channels) if self.permutation == "invertible_1x1" else ChannelReversal()
        affine = self.coupling == "affine" or (
            self.coupling == "affine_last" and stage == self.stages - 1
        )
        half = channels // 2
        net = coupling_net(half, self.width, 2 * half if affine else half, self.norm)
        yield AffineCoupling(net) if affine else AdditiveCoupling(net)

    def _read(self, shape: Shape, classes: int) -> SiteReadout | FirstReadout:
        if self.readout == "first":
            return FirstReadout(shape, classes)
        return SiteReadout(
            shape, classes, (0, 0) if self.readout == "dct" else self.site, self.readout == "dct"
        )


class FullyConnectedFiRevNet(Model):
    """Additive couplings of the two halves of a vector; logits are its first K numbers.

    Couplings change the one and the other half in turn, each by two hidden layers with ReLU; nothing is normalised.
    Numbers are taken as they are, whatever their range.

    Raises: ValueError where there are fewer numbers than classes, or only one.
    """

    blocks: int = Field(
        default=4, ge=1, description="couplings; each changes the half that the last one read"
    )
    hidden: int = Field(default=200, ge=1, description="units of both hidden layers of a coupling")
    memory: MemoryField = "stored"

    def build(self, shape: Shape, classes: int) -> BijectiveNet:
        length = math.prod(shape)
        if length < max(2, classes):
            raise ValueError(f"{classes} logits and two halves of {length} numbers")
        half = length // 2
        layers: list[Invertible] = [Flatten(shape)]
        for _ in range(self.blocks):
            layers += [AdditiveCoupling(self._bottleneck(half, length - half)), ChannelReversal()]
        return BijectiveNet(
            [Run(layers, self.memory)], (length, 1, 1), FirstReadout((length,), classes), False
        )

    def _bottleneck(self, fan_in: int, fan_out: int) -> nn.Sequential:
        first, second, last = (
            (fan_in, self.hidden),
            (self.hidden, self.hidden),
            (self.hidden, fan_out),
        )
        return nn.Sequential(
            nn.Linear(*first), nn.ReLU(), nn.Linear(*second), nn.ReLU(), nn.Linear(*last)
        )
