"""The distance from the end of a walk to its target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, JudgedPairs, Scored
from invspec.kinds import Number
from invspec.kinds.measure import Bound
from invspec.ops.types import MAGNITUDES, Range
from invspec.scoring.pairs import DistanceMeasure, distances_to_target, eligible
from invspec.scoring.rows import mean_of_pairs, quantile

Level = Annotated[Number, Field(ge=0, le=1)]


class TargetDistanceMeasure(DistanceMeasure):
    """Base class of measures of the remaining distance to the target."""

    relative: bool = Field(
        default=False, description="divide by the distance from the source to the target"
    )

    def range_of(self, quantity: str = "") -> Range:
        return MAGNITUDES

    @property
    def distance_label(self) -> str:
        share = ", as a share of that from source to target" if self.relative else ""
        return f"{super().distance_label}{share}"

    def distances(self, model: nn.Module, attacked: Examples) -> tuple[Tensor, JudgedPairs]:
        """The distances (P,) float64 of the pairs that count, and their judged columns."""
        rows = eligible(attacked, self.eligible)
        distances = distances_to_target(attacked, model, self.distance)
        if self.relative:
            initial = distances_to_target(attacked, model, self.distance, clean=True)
            # avoids 0 / 0 for a source equal to its target
            distances = distances / initial.clamp_min(torch.finfo(torch.float32).tiny)
        return distances[rows], attacked.pairs.take(rows)

    @property
    def bound(self) -> Bound:
        return "upper"

    def damage(self, model: nn.Module, attacked: Examples) -> Tensor:
        return -distances_to_target(attacked, model, self.distance)


class FinalDistance(TargetDistanceMeasure):
    """Quantiles over pairs of the distance from the final image to the target, one row each.

    A success rate counts the pairs below a threshold; quantiles also show how many are close to it.
    With relative, 1 means no progress, and 0 that the target was reached. Intervals are Woodruff's
    over sources and targets, as pairs that share one are not independent.

    Raises: InvspecError where no pair is eligible.
    """

    # Version 1 had the mean, too, chosen by `statistic`.
    version: ClassVar[int] = 2
    replaced: ClassVar[Mapping[str, str]] = {
        "statistic": "use mean_final_distance for the mean, quantiles: [0.5] for the median"
    }

    quantiles: tuple[Level, ...] = Field(
        default=(0.25, 0.5, 0.75), min_length=1, description="levels, one row each"
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        distances, pairs = self.distances(model, examples[0])
        rows = [quantile(distances, pairs, level, quantile=level) for level in self.quantiles]
        return Scored(rows)


class MeanFinalDistance(TargetDistanceMeasure):
    """Mean over pairs of the distance from the final image to the target.

    With relative, 1 means no progress, and 0 that the target was reached. The interval is from a
    bootstrap over sources and targets.

    Raises: InvspecError where no pair is eligible.
    """

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        return Scored([mean_of_pairs(*self.distances(model, examples[0]))])
