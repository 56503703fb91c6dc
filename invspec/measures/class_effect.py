"""Whether it is the target's class or the source's that decides where a walk arrives."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Number
from invspec.scoring.matrix import Cells
from invspec.scoring.pairs import ByDistance, class_count, distances_to_target, eligible
from invspec.scoring.rows import estimated

REPLICATES = 1000
Effect = Literal["target", "source", "difference"]


class ClassEffect(ByDistance):
    """Spread of the success rate over classes of targets, over classes of sources, or the first less the second.

    A spread is the standard deviation (ddof 0) of the means of the success matrix' rows (targets) or columns (sources),
    over the classes that are there. Success is as in success_rate.

    The interval is a Bayesian bootstrap's over sources. Few sources make any spread look larger than it is, for classes
    of sources more than of targets, each of which every source meets: the replicates have that bias as well.

    Raises: InvspecError where no pair is eligible.
    """

    effect: Effect = Field(
        default="difference", description="spread over target or source classes, or the difference"
    )
    max_distance: Number = Field(
        default=0.03, gt=0, description="a pair at this distance or further has failed"
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged, kept = attacked.judged, eligible(attacked, self.eligible)
        success = (distances_to_target(attacked, model, self.distance) < self.max_distance)[
            kept
        ].double()
        cells = Cells(judged["y_target"][kept], judged["y"][kept], class_count(model, attacked))
        sources, place = judged["source"][kept].unique(return_inverse=True)
        value = spread(cells.means(success), self.effect)
        draws = np.random.default_rng(0).standard_exponential((REPLICATES, len(sources)))
        found = [
            spread(cells.means(success, torch.from_numpy(row)[place]), self.effect) for row in draws
        ]
        low, high = np.quantile(found, [0.025, 0.975]).tolist()
        return Scored([estimated(value, low, high, len(sources))])


def spread(matrix: Tensor, effect: Effect) -> float:
    """Of a success matrix (K, K), targets down and sources across, NaN where a cell is empty."""

    def over(axis: int) -> float:
        means = matrix.nanmean(axis)
        return float(means[~means.isnan()].std(correction=0))

    target, source = over(1), over(0)
    return {"target": target, "source": source, "difference": target - source}[effect]
