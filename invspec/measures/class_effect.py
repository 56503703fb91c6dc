"""Whether the class of the target or of the source decides where a walk ends."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.ops.types import Range
from invspec.scoring.matrix import ClassPairs
from invspec.scoring.pairs import SuccessMeasure, class_count, eligible
from invspec.scoring.rows import estimated

# bootstrap draws behind the interval
REPLICATES = 1000

Effect = Literal["target", "source", "difference"]


class ClassEffect(SuccessMeasure):
    """Spread of the success rate over target classes or over source classes, or their difference.

    A spread is the standard deviation (ddof 0) of the row means (targets) or column means (sources)
    of the success matrix, over the classes that occur. Success is defined as in success_rate.

    The interval is from a Bayesian bootstrap over sources. With few sources the spreads are biased
    upwards, over source classes more than over target classes, because every source is paired with
    each target; the replicates share that bias.

    Raises: InvspecError where no pair is eligible.
    """

    effect: Effect = Field(
        default="difference",
        description="spread over target or source classes, or the first minus the second",
    )

    def range_of(self, quantity: str = "") -> Range:
        # the standard deviation of shares is at most a half
        return (-0.5, 0.5) if self.effect == "difference" else (0.0, 0.5)

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows = eligible(attacked, self.eligible)
        pairs = attacked.pairs.take(rows)
        success = self.successes(model, attacked)[rows].double()
        class_pairs = ClassPairs(pairs.y_target, pairs.y, class_count(model, attacked))
        sources, place = pairs.source.unique(return_inverse=True)
        # Bayesian bootstrap: normalised exponential weights are uniform on the simplex
        draws = np.random.default_rng(0).standard_exponential((REPLICATES, len(sources)))
        replicates = [
            spread(class_pairs.means(success, torch.from_numpy(weights)[place]), self.effect)
            for weights in draws
        ]
        low, high = np.quantile(replicates, [0.025, 0.975]).tolist()
        value = spread(class_pairs.means(success), self.effect)
        return Scored([estimated(value, low, high, len(sources))])


def spread(matrix: Tensor, effect: Effect) -> float:
    """The spread of a success matrix (K, K), a row for each target class, NaN in empty entries."""

    def over(axis: int) -> float:
        means = matrix.nanmean(axis)
        return float(means[~means.isnan()].std(correction=0))

    target, source = over(1), over(0)
    return {"target": target, "source": source, "difference": target - source}[effect]
