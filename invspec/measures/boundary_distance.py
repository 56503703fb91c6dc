"""How far the decision boundary is from correctly classified examples."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field
from torch import nn

from invspec.data import Examples, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure
from invspec.ops.norms import Metric
from invspec.ops.types import Range
from invspec.scoring.perturbations import distance
from invspec.scoring.rows import mean, quantile, share

LENGTHS: Range = (0.0, math.inf)
METRICS: tuple[str, ...] = ("linf", "l2", "l1", "l0")


class BoundaryDistance(Measure):
    """Distance from x to the adversarial image that an attack found, over the correctly classified examples.

    `among: all` has the misclassified ones too, whose distance is 0. Only as good as the attack: use one that looks for
    the nearest image, such as ddn, fmn or deepfool. An example whose prediction stayed is a failure. Mean and median
    leave failures out; `failures` is their share, and should be reported beside them, since they are the examples that
    are furthest away.

    The interval of the mean is a bootstrap's, that of the median the order statistics which enclose it with 95 %
    whatever the distribution (all of the range below six examples), that of the share Wilson's. norm l0 counts entries.

    Raises: InvspecError where no example is correctly classified, where nothing was found, and where norm is neither
    given nor among the attack's settings.
    """

    statistic: Literal["mean", "median", "failures"] = Field(
        default="mean", description="mean, median or failures"
    )
    norm: Metric | None = Field(
        default=None, description="how distance is measured; default: as the attack does"
    )
    among: Literal["correct", "all"] = Field(
        default="correct",
        description="the correctly classified, or all: the others are at distance 0",
    )

    def smoke(self) -> Self:
        """Among all examples, since a net of one epoch may have none right."""
        return self.model_copy(update={"among": "all"})

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged = attacked.judged
        correct = judged["prediction"] == judged["y"]
        kept = correct | (self.among == "all")
        found = kept & (~correct | (judged["prediction_adv"] != judged["prediction"]))
        if not kept.any():
            raise InvspecError(
                "no example is classified correctly, so that none has a distance to the boundary"
            )
        if self.statistic == "failures":
            return Scored([share(~found[kept], judged["index"][kept])])
        if not found.any():
            raise InvspecError(
                f"the attack found no adversarial image for any of {int(kept.sum())} correctly classified examples",
                hint="give it more steps, or report statistic: failures",
            )
        distances = (distance(attacked, self._norm(attacked)) * correct)[found].double()
        if self.statistic == "mean":
            return Scored([mean(distances, judged["index"][found], LENGTHS)])
        return Scored([quantile(distances, judged["index"][found], 0.5)])

    def _norm(self, attacked: Examples) -> Metric:
        norm = self.norm or attacked.settings.get("norm")
        if norm not in METRICS:
            raise InvspecError(
                f"the attack does not say in which norm it measures: {norm}",
                hint=f"say norm: {' | '.join(METRICS)}",
            )
        return norm
