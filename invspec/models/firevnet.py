"""Fully invertible RevNets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from invspec.flows.bijective_net import BijectiveNet, MappedNet
from invspec.flows.couplings import (
    AdditiveCoupling,
    AffineCoupling,
    InnerNorm,
    coupling_net,
    halvable,
)
from invspec.flows.given_logits import TriangularGivenLogits
from invspec.flows.invertible import Invertible
from invspec.flows.layers import (
    ActNorm,
    ChannelReversal,
    Invertible1x1,
    Rescale,
    Squeeze,
    squeezed,
)
from invspec.flows.readouts import FirstReadout, SiteReadout
from invspec.flows.reversible import MemoryField, Run
from invspec.kinds import Model
from invspec.ops.types import Shape


class FiRevNet(Model):
    """A bijection between images and codes: coupling blocks between squeezes, then a readout.

    Pixels are scaled to [-1, 1] and squeezed `input_squeezes` times; each stage but the first
    begins with one more squeeze. A stage is `blocks` blocks of actnorm, a permutation of the
    channels and a coupling. With factor_out, half of the channels go to the nuisance after each
    stage but the last.

    No projection follows: the logits are entries of the last map. With readout `site` they are the
    first K channels at one position, with `dct` the same at frequency 0 after an orthonormal DCT of
    every map, with `first` the first K entries of the flattened map.

    The nuisance is the rest of the last map (for site and dct the other channels at that position,
    then the other positions channel by channel), followed by the flattened halves that were
    factored out, the last one first. With nuisance_given_logits, which is ours, it then passes
    through a map that depends on the logits, flows.given_logits.TriangularGivenLogits.

    Deviates: the scale of an affine coupling is at least 0.0025, so that decoding does not overflow
    for codes far from those of images. The logits have no batch norm of their own. A squeeze puts
    the input's channels outermost. Batch norm is used only inside couplings, because blocks must be
    invertible.

    Raises: ValueError if a map cannot be squeezed or halved, or if the last map has no such site or
    too few channels.
    """

    stages: int = Field(
        default=3, ge=1, description="groups of blocks, with a squeeze between two groups"
    )
    blocks: int = Field(default=16, ge=1, description="couplings in each stage")
    width: int = Field(
        default=128, ge=1, description="channels of the convolutions inside couplings"
    )
    input_squeezes: int = Field(default=1, ge=0, description="squeezes before the first stage")
    coupling: Literal["additive", "affine", "affine_last"] = Field(
        default="additive",
        description="additive, affine, or affine_last: affine in the last stage only",
    )
    permutation: Literal["invertible_1x1", "reversal"] = Field(
        default="invertible_1x1",
        description="mixing of channels before each coupling: a learnt matrix, or reversed order",
    )
    actnorm: bool = Field(
        default=True,
        description="whether to learn a scale and shift per channel before each permutation",
    )
    factor_out: bool = Field(
        default=True,
        description="whether half of the channels go to the nuisance after each stage but the last",
    )
    norm: InnerNorm = Field(
        default="actnorm", description="norm inside couplings: actnorm, batch_norm or none"
    )
    readout: Literal["site", "dct", "first"] = Field(
        default="site", description="where the logits are read: site, dct or first"
    )
    site: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = Field(
        default=(2, 2), description="row and column in the last map, for readout site"
    )
    nuisance_given_logits: bool = Field(
        default=False,
        description="whether the nuisance then passes through a triangular map that depends on "
        "the logits (ours)",
    )
    memory: MemoryField = "stored"

    def build(self, shape: Shape, classes: int) -> BijectiveNet:
        shapes, runs = self.shapes(shape), list[Run]()
        for stage, (channels, _, _) in enumerate(shapes):
            squeezes = self.input_squeezes if stage == 0 else 1
            layers = [Rescale(2, -1)] if stage == 0 else []
            layers += [Squeeze() for _ in range(squeezes)]
            layers += [layer for _ in range(self.blocks) for layer in self._block(channels, stage)]
            runs.append(Run(layers, self.memory))
        readout = self._readout(shapes[-1], classes)
        if not self.nuisance_given_logits:
            return BijectiveNet(runs, shapes[-1], readout, self.factor_out)
        last = TriangularGivenLogits(classes, math.prod(shape) - classes)
        return MappedNet(runs, shapes[-1], readout, self.factor_out, last)

    def shapes(self, shape: Shape) -> list[Shape]:
        """The shape of the maps in each stage.

        Raises: ValueError if a map cannot be squeezed or halved.
        """
        for _ in range(self.input_squeezes):
            shape = squeezed(shape)
        shapes = [halvable(shape)]
        for _ in range(self.stages - 1):
            channels, height, width = shapes[-1]
            staying = channels // 2 if self.factor_out else channels
            shapes.append(halvable(squeezed((staying, height, width))))
        return shapes

    def _block(self, channels: int, stage: int) -> Iterator[Invertible]:
        # the step of a flow in Glow: actnorm, a permutation of channels, a coupling
        if self.actnorm:
            yield ActNorm(channels)
        yield Invertible1x1(channels) if self.permutation == "invertible_1x1" else ChannelReversal()
        last = stage == self.stages - 1
        affine = self.coupling == "affine" or (self.coupling == "affine_last" and last)
        half = channels // 2
        # an affine coupling needs t and h, an additive one t alone
        net = coupling_net(half, self.width, 2 * half if affine else half, self.norm)
        yield AffineCoupling(net) if affine else AdditiveCoupling(net)

    def _readout(self, shape: Shape, classes: int) -> SiteReadout | FirstReadout:
        match self.readout:
            case "first":
                return FirstReadout(shape, classes)
            case "dct":
                return SiteReadout(shape, classes, (0, 0), dct=True)
            case "site":
                return SiteReadout(shape, classes, self.site, dct=False)
