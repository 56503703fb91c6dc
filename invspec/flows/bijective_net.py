"""A bijective net: invertible stages, and a readout of the logits from the last map."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from invspec.flows.given_logits import TriangularGivenLogits
from invspec.flows.invertible import halves, zero_log_det
from invspec.flows.readouts import Code, FirstReadout, SiteReadout
from invspec.flows.reversible import Run
from invspec.ops.types import Shape


class BijectiveNet(nn.Module):
    """Invertible stages and a readout; implements kinds.Bijective.

    With factor_out, half of the channels go to the nuisance after each stage but the last. shape is
    the shape of the last stage's maps.
    """

    def __init__(
        self,
        stages: Sequence[Run],
        shape: Shape,
        readout: SiteReadout | FirstReadout,
        factor_out: bool,
    ) -> None:
        super().__init__()
        self.stages, self.shape = nn.ModuleList(stages), shape
        self.readout, self.factor_out = readout, factor_out

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        return self._read(x)[0]

    def encode(self, x: Tensor) -> Code:
        """x (B, C, H, W) to semantic (B, K), the logits, and nuisance (B, D - K)."""
        semantic, nuisance, _ = self.encode_with_log_det(x)
        return semantic, nuisance

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The code, and the log of the Jacobian's absolute determinant (B,), in nats."""
        return self._read(x)

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Semantic, nuisance and log-determinant of the stages and the readout."""
        total, factored = zero_log_det(x), list[Tensor]()
        for number, stage in enumerate(self.stages):
            if number and self.factor_out:
                x, leaving = halves(x)
                # in the order of `_nuisance_sizes`
                factored.insert(0, leaving.flatten(1))
            x, log_det = stage(x)
            total = total + log_det
        semantic, unread = self.readout(x)
        return semantic, torch.cat([unread, *factored], dim=1), total

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        """The exact inverse of encode: x (B, C, H, W)."""
        sizes = self._nuisance_sizes(semantic.shape[1])
        unread, *factored = nuisance.split(sizes, dim=1)
        x = self.readout.inverse(semantic, unread)
        for number, stage in reversed(list(enumerate(self.stages))):
            x = stage.inverse(x)  # pyright: ignore[reportCallIssue]
            if number and self.factor_out:
                x = torch.cat([x, factored.pop(0).view_as(x)], dim=1)
        return x

    def _nuisance_sizes(self, classes: int) -> list[int]:
        """Sizes of the nuisance's parts, in order.

        First the entries that the readout does not read, then the channels factored out, the last
        stage's first. Before its squeeze, a stage's map of D entries was half of a map of 2 D.
        """
        last = math.prod(self.shape)
        stages = range(len(self.stages) - 1) if self.factor_out else ()
        return [last - classes, *(last * 2**stage for stage in stages)]


class MappedNet(BijectiveNet):
    """A bijective net whose nuisance then passes through the map `last`, given the logits.

    Implements kinds.EndsInMap.
    """

    def __init__(
        self,
        stages: Sequence[Run],
        shape: Shape,
        readout: SiteReadout | FirstReadout,
        factor_out: bool,
        last: TriangularGivenLogits,
    ) -> None:
        super().__init__(stages, shape, readout, factor_out)
        self.last = last

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        semantic, nuisance, log_det = self._read(x)
        nuisance, last_log_det = self.last(semantic, nuisance)
        return semantic, nuisance, log_det + last_log_det

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        return super().decode(semantic, self.last.inverse(semantic, nuisance))

    @torch.no_grad()
    def fit_last(self, images: Iterable[Tensor]) -> None:
        """Fit the last map to batches (B, C, H, W) of images by maximum likelihood."""
        self.last.fit(self._read(x)[:2] for x in images)
