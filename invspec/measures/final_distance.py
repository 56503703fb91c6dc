"""How far from its target a walk ended."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Number
from invspec.scoring.pairs import ByDistance, distances_to_target, eligible
from invspec.scoring.rows import mean_of_pairs, quantile

Level = Annotated[Number, Field(ge=0, le=1)]


class FinalDistance(ByDistance):
    """Distance from the final image of each pair to its target: quantiles over pairs, or their mean or median.

    `statistic: quantiles` has a row for each of `quantiles`, told apart by quantile; mean and median are one number,
    and the mean has each and index, an entry a source: the mean over its targets (where sources have unequally many,
    see measures.pairs.by_source). A success rate says on which side of a threshold pairs are; where many are near to
    it, only quantiles tell.

    relative divides by the distance of the source from the target: 1 where nothing was gained, 0 on the target.

    The mean's interval is a bootstrap's over sources, whose pairs are not independent. A quantile's is Woodruff's
    (1952): the ends of such an interval of the share of pairs below it, read as quantiles again.

    Raises: InvspecError where no pair is eligible.
    """

    statistic: Literal["quantiles", "mean", "median"] = Field(
        default="quantiles", description="what of the distances"
    )
    quantiles: tuple[Level, ...] = Field(
        default=(0.25, 0.5, 0.75), min_length=1, description="of statistic quantiles"
    )
    relative: bool = Field(
        default=False, description="divide by the distance from the source to the target"
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        kept = eligible(attacked, self.eligible)
        found, source = self._distances(model, attacked)[kept], attacked.judged["source"][kept]
        if self.statistic == "mean":
            return Scored([mean_of_pairs(found, source)])
        if self.statistic == "median":
            return Scored([quantile(found, source, 0.5)])
        return Scored([quantile(found, source, q, quantile=q) for q in self.quantiles])

    def _distances(self, model: nn.Module, attacked: Examples) -> Tensor:
        """Of every pair, (N,) float64."""
        final = distances_to_target(attacked, model, self.distance)
        if not self.relative:
            return final
        initial = distances_to_target(attacked, model, self.distance, clean=True)
        return final / initial.clamp_min(torch.finfo(torch.float32).tiny)
