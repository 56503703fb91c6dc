"""Confidence between a source and two images that it was turned into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.errors import InvspecError
from invspec.kinds import Number
from invspec.ops.types import SHARES, Range
from invspec.scoring.pairs import (
    READ,
    OfPairs,
    confidences,
    device_of,
    eligible,
)
from invspec.scoring.rows import mean_of_pairs

Drop = Annotated[Number, Field(ge=0, le=1)]
Quantity = Literal["mean_confidence", "share_within", "edge_confidence", "least_edge_margin"]


class Triangle(OfPairs):
    """Confidence in the source's label over the triangle of a source and two of its final images, its blind spots.

    Over the points of a barycentric grid, (1 - i/n - j/n) source + i/n first + j/n second with whole i and j, which are
    66 for n = 10 divisions. A row for each quantity:

        mean_confidence     over the grid
        share_within_D      share of the grid whose confidence is above the source's less D, strictly; D in `drops`
        edge_confidence     mean over the points of the two edges from the source (which counts once)
        least_edge_margin   least confidence on these edges less the source's
        source_confidence   the source's own, p_s

    Each is the mean over a source's triangles, one for each two of its pairs, and then over sources, with its bootstrap
    interval. statistic says which of them alone, with each and index, an entry a source, for claims; share_within then
    needs a single drop.

    Deviates: the authors' grid loses points to a test of floats and keeps 64.
    Raises: InvspecError where no pair is eligible, or where no source has two pairs.
    """

    statistic: Literal["all"] | Quantity = Field(
        default="all", description="a row a quantity, or one of them"
    )
    drops: tuple[Drop, ...] = Field(
        default=(0, 0.1, 0.2, 0.3), min_length=1, description="D of share_within_D"
    )
    divisions: int = Field(default=10, ge=1, description="of each edge of the grid")

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        if self.statistic == "share_within" and len(self.drops) > 1:
            raise ValueError(f"share_within is one number: give one drop, not {len(self.drops)}")
        return self

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        found = {
            spots.source: self._triangles(model, spots).mean(0)
            for spots in blind_spots(attacked, eligible(attacked, self.eligible), device_of(model))
            if len(spots.x_adv) > 1
        }
        if not found:
            raise InvspecError(
                "no source has two pairs, which a triangle needs",
                hint="give the attack's sample more targets",
            )
        source, values = (
            torch.tensor(list(found)),
            dict(zip(self._names(), torch.stack([*found.values()], 1), strict=True)),
        )
        if self.statistic == "all":
            return Scored(
                [
                    mean_of_pairs(column, source, within(name), quantity=name)
                    for name, column in values.items()
                ]
            )
        (name,) = (name for name in values if name.startswith(self.statistic))
        return Scored([mean_of_pairs(values[name], source, within(name))])

    def _names(self) -> list[str]:
        shares = [f"share_within_{drop:g}" for drop in self.drops]
        return [
            "mean_confidence",
            *shares,
            "edge_confidence",
            "least_edge_margin",
            "source_confidence",
        ]

    def _triangles(self, model: nn.Module, spots: BlindSpots) -> Tensor:
        """The quantities (M, Q), in the order of their names, of the M triangles of a source."""
        weights = grid(self.divisions)
        pairs = torch.combinations(torch.arange(len(spots.x_adv)), 2)
        parts = [
            self._quantities(
                spots.confidences(model, rows, weights),
                spots.confidence,
                (weights[:, 1:] == 0).any(1),
            )
            for rows in pairs.split(max(1, READ // len(weights)))
        ]
        return torch.cat(parts).double()

    def _quantities(self, confidence: Tensor, p_s: Tensor, edges: Tensor) -> Tensor:
        """Of triangles' confidences (M, G), a source's (), and which points are on its edges (G,): (M, Q)."""
        shares = [(confidence > p_s - drop).double().mean(1) for drop in self.drops]
        edge, mean = confidence[:, edges].double(), confidence.double().mean(1)
        return torch.stack(
            [mean, *shares, edge.mean(1), edge.amin(1) - p_s, p_s.double().expand_as(mean)], dim=1
        )


def within(quantity: str) -> Range:
    """The least and largest value that a quantity can have."""
    return (-1.0, 1.0) if quantity == "least_edge_margin" else SHARES


@dataclass(frozen=True)
class BlindSpots:
    """The final images x_adv (T, C, H, W) of a source x (C, H, W), whose label () has the confidence ()."""

    source: int
    x: Tensor
    x_adv: Tensor
    label: Tensor
    confidence: Tensor

    def confidences(self, model: nn.Module, pairs: Tensor, weights: Tensor) -> Tensor:
        """Of triangles of the source and two of x_adv, pairs (M, 2): (M, G), at the points of weights (G, 3)."""
        corners = torch.cat([self.x.expand(len(pairs), 1, *self.x.shape), self.x_adv[pairs]], dim=1)
        images = combined(corners, weights.to(corners)).flatten(0, 1)
        return confidences(model, images, self.label.expand(len(images))).view(len(pairs), -1).cpu()


def combined(corners: Tensor, weights: Tensor) -> Tensor:
    """Images (M, G, C, H, W) of triangles (M, 3, C, H, W) at weights (G, 3); a weight of 1 gives the corner itself."""
    at = weights.view(
        *weights.shape, 1, 1, 1
    )  # products and sums, since a product of matrices may be of less precision
    return sum(
        (at[:, v] * corners[:, v, None] for v in range(1, 3)), at[:, 0] * corners[:, 0, None]
    )


def blind_spots(attacked: Examples, kept: Tensor, device: torch.device) -> Iterator[BlindSpots]:
    """Source by source, of the pairs kept (N,); a source's pairs stand together."""
    judged = attacked.judged
    for source, group in groupby(
        _pairs(attacked, kept), key=lambda pair: int(judged["source"][pair[0]])
    ):
        rows, x, x_adv = zip(*group, strict=True)
        label, confidence = judged["prediction"][rows[0]], judged["confidence"][rows[0]]
        yield BlindSpots(source, x[0].to(device), torch.stack(x_adv).to(device), label, confidence)


def _pairs(attacked: Examples, kept: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Row, source image and final image of each pair that is kept."""
    done = 0
    for batch, tensors in attacked.batches(READ, "x_adv"):
        for row in kept[done : done + len(batch)].nonzero().flatten().tolist():
            yield done + row, batch.x[row], tensors["x_adv"][row]
        done += len(batch)


def grid(divisions: int) -> Tensor:
    """Barycentric weights (G, 3) of the points of a triangle's grid, G = (n + 1)(n + 2) / 2 for n divisions."""
    n = divisions
    return (
        torch.tensor([[n - i - j, i, j] for i in range(n + 1) for j in range(n + 1 - i)]).float()
        / n
    )
