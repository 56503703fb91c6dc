"""Fully invertible nets: a bijection between images and codes, of which the first few numbers are the logits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Shape
from invspec.kinds import Model
from invspec.models.given_logits import TriangularGivenLogits
from invspec.models.invertible import (
    DCT,
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
    halves,
    unchanged,
)
from invspec.models.reversible import Memory, Run

Readout = Literal["site", "dct", "first"]
Code = tuple[Tensor, Tensor]
MemoryField = Annotated[
    Memory,
    Field(description="for the backward pass: stored activations, or reversible, which computes them anew"),
]


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

    stages: int = Field(default=3, ge=1, description="groups of blocks; a squeeze stands between two")
    blocks: int = Field(default=16, ge=1, description="couplings in each stage")
    width: int = Field(default=128, ge=1, description="channels of the convolutions inside of couplings")
    input_squeezes: int = Field(default=1, ge=0, description="squeezes before the first stage")
    coupling: Literal["additive", "affine", "affine_last"] = Field(
        default="additive", description="additive, affine, or affine_last: affine in the last stage, additive before"
    )
    permutation: Literal["invertible_1x1", "reversal"] = Field(
        default="invertible_1x1", description="of channels, before each coupling: a learnt matrix, or reversed order"
    )
    actnorm: bool = Field(default=True, description="learnt scale and shift of each channel before each permutation")
    factor_out: bool = Field(default=True, description="half the channels leave after each stage but the last")
    norm: Norm = Field(default="actnorm", description="inside of couplings: actnorm, batch_norm or none")
    readout: Readout = Field(default="site", description="where the logits are: site, dct or first")
    site: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = Field(
        default=(2, 2), description="readout site: row and column in the last map"
    )
    nuisance_given_logits: bool = Field(
        default=False, description="last, the nuisance goes through a triangular map that the logits choose; ours"
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
        last = TriangularGivenLogits(classes, math.prod(shape) - classes) if self.nuisance_given_logits else None
        return BijectiveNet(runs, shapes[-1], self._read(shapes[-1], classes), self.factor_out, last)

    def shapes(self, shape: Shape) -> list[Shape]:
        """The shape of the maps in each stage. Raises ValueError where one cannot be squeezed or halved."""
        for _ in range(self.input_squeezes):
            shape = squeezed(shape)
        found = [halvable(shape)]
        for _ in range(self.stages - 1):
            channels, height, width = found[-1]
            found.append(halvable(squeezed((channels // 2 if self.factor_out else channels, height, width))))
        return found

    def _block(self, channels: int, stage: int) -> Iterator[Invertible]:
        if self.actnorm:
            yield ActNorm(channels)
        yield Invertible1x1(channels) if self.permutation == "invertible_1x1" else ChannelReversal()
        affine = self.coupling == "affine" or (self.coupling == "affine_last" and stage == self.stages - 1)
        half = channels // 2
        net = coupling_net(half, self.width, 2 * half if affine else half, self.norm)
        yield AffineCoupling(net) if affine else AdditiveCoupling(net)

    def _read(self, shape: Shape, classes: int) -> SiteReadout | FirstReadout:
        if self.readout == "first":
            return FirstReadout(shape, classes)
        return SiteReadout(shape, classes, (0, 0) if self.readout == "dct" else self.site, self.readout == "dct")


class FullyConnectedFiRevNet(Model):
    """Additive couplings of the two halves of a vector; logits are its first K numbers.

    Couplings change the one and the other half in turn, each by two hidden layers with ReLU; nothing is normalised.
    Numbers are taken as they are, whatever their range.

    Raises: ValueError where there are fewer numbers than classes, or only one.
    """

    blocks: int = Field(default=4, ge=1, description="couplings; each changes the half that the last one read")
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
        return BijectiveNet([Run(layers, self.memory)], (length, 1, 1), FirstReadout((length,), classes), False)

    def _bottleneck(self, fan_in: int, fan_out: int) -> nn.Sequential:
        first, second, last = (fan_in, self.hidden), (self.hidden, self.hidden), (self.hidden, fan_out)
        return nn.Sequential(nn.Linear(*first), nn.ReLU(), nn.Linear(*second), nn.ReLU(), nn.Linear(*last))


class BijectiveNet(nn.Module):
    """Stages, between which half of the channels may leave, and a readout; see kinds.Bijective.

    shape is that of the last stage's maps. last, if there is one, maps the nuisance given the logits.
    """

    def __init__(
        self,
        stages: Sequence[Run],
        shape: Shape,
        readout: SiteReadout | FirstReadout,
        factor_out: bool,
        last: TriangularGivenLogits | None = None,
    ) -> None:
        super().__init__()
        self.stages, self.shape, self.readout, self.factor_out = nn.ModuleList(stages), shape, readout, factor_out
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        return self._read(x)[0]

    def encode(self, x: Tensor) -> Code:
        """x (B, C, H, W) to semantic (B, K), the logits, and nuisance (B, D - K)."""
        semantic, nuisance, _ = self.encode_with_log_det(x)
        return semantic, nuisance

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same, and the log of the Jacobian's absolute determinant (B,), in nats."""
        semantic, nuisance, log_det = self._read(x)
        if self.last is None:
            return semantic, nuisance, log_det
        nuisance, added = self.last(semantic, nuisance)
        return semantic, nuisance, log_det + added

    @torch.no_grad()
    def fit_last(self, images: Iterable[Tensor]) -> None:
        """Set the last map, which there must be, to its likelihood's optimum for images, a batch (B, C, H, W) each."""
        assert self.last is not None, "a net without a last map"
        self.last.fit(self._read(x)[:2] for x in images)

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Semantic, nuisance and log-determinant before the last map."""
        total, left = unchanged(x), list[Tensor]()
        for number, stage in enumerate(self.stages):
            if number and self.factor_out:
                x, leaving = halves(x)
                left.insert(0, leaving.flatten(1))
            x, log_det = stage(x)
            total = total + log_det
        semantic, rest = self.readout(x)
        return semantic, torch.cat([rest, *left], dim=1), total

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        """The exact inverse of encode: x (B, C, H, W)."""
        sizes = self._sizes(semantic.shape[1])
        nuisance = nuisance if self.last is None else self.last.inverse(semantic, nuisance)
        rest, *left = nuisance.split(sizes, dim=1)
        x = self.readout.inverse(semantic, rest)
        for number, stage in reversed(list(enumerate(self.stages))):
            x = stage.inverse(x)  # pyright: ignore[reportCallIssue]
            if number and self.factor_out:
                x = torch.cat([x, left.pop(0).view_as(x)], dim=1)
        return x

    def _sizes(self, classes: int) -> list[int]:
        """Of the parts of the nuisance: what the readout leaves, then what left after each stage, the last one first.

        A stage's map that has D numbers was, before the squeeze, half of a map of 2 D.
        """
        last = math.prod(self.shape)
        later = [last * 2**number for number in range(len(self.stages) - 1)] if self.factor_out else []
        return [last - classes, *later]


class SiteReadout(nn.Module):
    """The first K channels at one place of a map (B, C, H, W), or at frequency (0, 0) of its DCT: their means, scaled.

    Raises: ValueError where there are fewer channels than classes, or no such place.
    """

    def __init__(self, shape: Shape, classes: int, site: tuple[int, int], dct: bool) -> None:
        super().__init__()
        channels, height, width = shape
        if channels < classes:
            raise ValueError(f"{classes} logits are read from {channels} channels")
        if site[0] >= height or site[1] >= width:
            raise ValueError(f"site {site[0]}, {site[1]} is outside of the last map, which is {height}x{width}")
        self.shape, self.classes, self.place = shape, classes, site[0] * width + site[1]
        self.transform = DCT() if dct else None

    def forward(self, x: Tensor) -> Code:
        maps = (x if self.transform is None else self.transform(x)[0]).flatten(2)
        here, others = maps[:, :, self.place], torch.cat([maps[:, :, : self.place], maps[:, :, self.place + 1 :]], 2)
        return here[:, : self.classes], torch.cat([here[:, self.classes :], others.flatten(1)], dim=1)

    def inverse(self, semantic: Tensor, rest: Tensor) -> Tensor:
        channels = self.shape[0]
        beside, others = rest.split([channels - self.classes, rest.shape[1] - channels + self.classes], dim=1)
        here, others = torch.cat([semantic, beside], dim=1).unsqueeze(2), others.unflatten(1, (channels, -1))
        maps = torch.cat([others[:, :, : self.place], here, others[:, :, self.place :]], dim=2).view(-1, *self.shape)
        return maps if self.transform is None else self.transform.inverse(maps)


class FirstReadout(nn.Module):
    """The first K numbers of a flattened map or vector. Raises ValueError where it has fewer."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        if math.prod(shape) < classes:
            raise ValueError(f"{classes} logits are read from {math.prod(shape)} numbers")
        self.shape, self.classes = shape, classes

    def forward(self, x: Tensor) -> Code:
        flat = x.flatten(1)
        return flat[:, : self.classes], flat[:, self.classes :]

    def inverse(self, semantic: Tensor, rest: Tensor) -> Tensor:
        return torch.cat([semantic, rest], dim=1).view(-1, *self.shape)


def squeezed(shape: Shape) -> Shape:
    """The shape after a squeeze. Raises ValueError where height or width is odd."""
    channels, height, width = shape
    if height % 2 or width % 2:
        raise ValueError(f"a squeeze needs an even height and width, found {height}x{width}")
    return 4 * channels, height // 2, width // 2


def halvable(shape: Shape) -> Shape:
    """The shape itself. Raises ValueError where its channels do not fall into halves."""
    if shape[0] % 2:
        raise ValueError(f"couplings need an even number of channels, found {shape[0]}: squeeze the input")
    return shape
