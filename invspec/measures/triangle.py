"""Confidence over the triangle spanned by a source and two of its final images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.errors import InvspecError
from invspec.kinds import Number
from invspec.ops.modules import device_of
from invspec.ops.plane import barycentric_grid, combined
from invspec.ops.types import SHARE_DIFFERENCES, SHARES, Range
from invspec.scoring.pairs import BATCH_SIZE, PairMeasure, confidences, eligible, placed_batches
from invspec.scoring.rows import mean_of_pairs

Drop = Annotated[Number, Field(ge=0, le=1)]


class Triangle(PairMeasure):
    """Confidence in the source's label over the triangle of a source and two final images.

    The final images are blind spots of the source. The points form a barycentric grid, (1 - i/n -
    j/n) source + i/n first + j/n second with integers i and j: 66 points for n = 10 divisions. A
    row for each quantity:

        mean_confidence    over the grid
        share_within_D     share of the grid whose confidence is strictly above the source's
                           minus D, for each D in `drops`
        edge_confidence    mean over the points of the two edges from the source (counted once)
        least_edge_margin  lowest confidence on these edges, minus the source's
        source_confidence  the source's own, p_s

    Each is averaged over the triangles of a source, one for each two of its pairs, then over
    sources, with a bootstrap interval over sources.

    Deviates: the authors' grid loses two points to floating-point comparisons and has 64.

    Raises: InvspecError where no pair is eligible, or where no source has two pairs.
    """

    # Version 1 gave a single quantity, selected by `statistic`.
    version: ClassVar[int] = 2
    replaced: ClassVar[Mapping[str, str]] = {
        "statistic": "every quantity has a row: pick one at <measure>.quantity"
    }

    drops: tuple[Drop, ...] = Field(
        default=(0, 0.1, 0.2, 0.3), min_length=1, description="values of D in share_within_D"
    )
    divisions: int = Field(default=10, ge=1, description="divisions of each edge of the grid")

    def range_of(self, quantity: str = "") -> Range:
        return SHARE_DIFFERENCES if quantity in ("", "least_edge_margin") else SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows, device = eligible(attacked, self.eligible), device_of(model)
        by_source = {
            spots.source: self._triangles(model, spots).mean(0)
            for spots in blind_spots(attacked, rows, device)
            if len(spots.x_adv) > 1
        }
        if not by_source:
            raise InvspecError(
                "no source has two pairs, which a triangle needs",
                hint="give the attack's sample more targets",
            )
        source, values = torch.tensor(list(by_source)), torch.stack([*by_source.values()], 1)
        return Scored(
            [
                mean_of_pairs(column, source, self.range_of(name), quantity=name)
                for name, column in zip(self._names(), values, strict=True)
            ]
        )

    def _names(self) -> list[str]:
        return [
            "mean_confidence",
            *(f"share_within_{drop:g}" for drop in self.drops),
            "edge_confidence",
            "least_edge_margin",
            "source_confidence",
        ]

    def _triangles(self, model: nn.Module, spots: BlindSpots) -> Tensor:
        """The quantities (M, Q), in the order of their names, of the M triangles of a source."""
        weights = barycentric_grid(self.divisions)
        # on an edge from the source, one of the two other corners has weight 0
        edges = (weights[:, 1:] == 0).any(1)
        corners = torch.combinations(torch.arange(len(spots.x_adv)), 2)
        parts = [
            self._quantities(spots.confidences(model, rows, weights), spots.confidence, edges)
            for rows in corners.split(max(1, BATCH_SIZE // len(weights)))
        ]
        return torch.cat(parts).double()

    def _quantities(self, confidence: Tensor, p_s: Tensor, edges: Tensor) -> Tensor:
        """The quantities (M, Q) from triangles' confidences (M, G) and the source's own ().

        edges (G,) says which points of the grid lie on its edges from the source.
        """
        shares = [(confidence > p_s - drop).double().mean(1) for drop in self.drops]
        edge, mean = confidence[:, edges].double(), confidence.double().mean(1)
        return torch.stack(
            [mean, *shares, edge.mean(1), edge.amin(1) - p_s, p_s.double().expand_as(mean)], dim=1
        )


@dataclass(frozen=True)
class BlindSpots:
    """The final images x_adv (T, C, H, W) of a source x (C, H, W), its label and confidence."""

    source: int
    x: Tensor
    x_adv: Tensor
    label: Tensor
    confidence: Tensor

    def confidences(self, model: nn.Module, pairs: Tensor, weights: Tensor) -> Tensor:
        """The confidences (M, G) over triangles of the source and two of x_adv, pairs (M, 2).

        weights (G, 3) are the barycentric coordinates of the points.
        """
        corners = torch.cat([self.x.expand(len(pairs), 1, *self.x.shape), self.x_adv[pairs]], dim=1)
        images = combined(corners, weights.to(corners)).flatten(0, 1)
        return confidences(model, images, self.label.expand(len(images))).view(len(pairs), -1).cpu()


def blind_spots(attacked: Examples, rows: Tensor, device: torch.device) -> Iterator[BlindSpots]:
    """The pairs that count, rows (N,), source by source; the pairs of a source are consecutive."""
    judged = attacked.pairs
    for source, group in groupby(
        _pairs(attacked, rows), key=lambda pair: int(judged.source[pair[0]])
    ):
        places, x, x_adv = zip(*group, strict=True)
        yield BlindSpots(
            source,
            x[0].to(device),
            torch.stack(x_adv).to(device),
            judged.prediction[places[0]],
            judged.confidence[places[0]],
        )


def _pairs(attacked: Examples, rows: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Place, source image and final image of each pair that counts."""
    for places, batch, tensors in placed_batches(attacked, BATCH_SIZE, "x_adv"):
        for row in rows[places].nonzero().flatten().tolist():
            yield places.start + row, batch.x[row], tensors["x_adv"][row]
