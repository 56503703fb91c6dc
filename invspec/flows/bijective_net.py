"""A bijective net: invertible stages, and a readout of the logits from its last map."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.flows.given_logits import TriangularGivenLogits
from invspec.flows.invertible import DCT, halves, unchanged
from invspec.flows.reversible import Memory, Run
from invspec.ops.types import Shape

Code = tuple[Tensor, Tensor]


MemoryField = Annotated[
    Memory,
    Field(
        description="for the backward pass: stored activations, or reversible, which computes them anew"
    ),
]


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
        self.stages, self.shape, self.readout, self.factor_out = (
            nn.ModuleList(stages),
            shape,
            readout,
            factor_out,
        )
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
        later = (
            [last * 2**number for number in range(len(self.stages) - 1)] if self.factor_out else []
        )
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
            raise ValueError(
                f"site {site[0]}, {site[1]} is outside of the last map, which is {height}x{width}"
            )
        self.shape, self.classes, self.place = shape, classes, site[0] * width + site[1]
        self.transform = DCT() if dct else None

    def forward(self, x: Tensor) -> Code:
        maps = (x if self.transform is None else self.transform(x)[0]).flatten(2)
        here, others = (
            maps[:, :, self.place],
            torch.cat([maps[:, :, : self.place], maps[:, :, self.place + 1 :]], 2),
        )
        return here[:, : self.classes], torch.cat(
            [here[:, self.classes :], others.flatten(1)], dim=1
        )

    def inverse(self, semantic: Tensor, rest: Tensor) -> Tensor:
        channels = self.shape[0]
        beside, others = rest.split(
            [channels - self.classes, rest.shape[1] - channels + self.classes], dim=1
        )
        here, others = (
            torch.cat([semantic, beside], dim=1).unsqueeze(2),
            others.unflatten(1, (channels, -1)),
        )
        maps = torch.cat(
            [others[:, :, : self.place], here, others[:, :, self.place :]], dim=2
        ).view(-1, *self.shape)
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
        raise ValueError(
            f"couplings need an even number of channels, found {shape[0]}: squeeze the input"
        )
    return shape
