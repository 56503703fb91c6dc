"""Numbers of ours beside those of a paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from scipy.special import stdtrit

from invspec.analysis.estimator import Summary
from invspec.analysis.readings import Group
from invspec.spec.published import Published, PublishedCell


@dataclass(frozen=True)
class Comparison:
    """A number of the paper and ours, None if it is not computed.

    The cell agrees if the interval of the difference reaches within `within` of 0.
    """

    paper: PublishedCell
    ours: Summary | None
    within: float = 0.0
    group: Group | None = None

    @property
    def is_comparable(self) -> bool:
        """Whether there is a number of ours."""
        return self.ours is not None and math.isfinite(self.ours.value)

    @property
    def difference(self) -> float:
        """Ours minus the paper's; NaN without ours."""
        return math.nan if self.ours is None else self.ours.value - self.paper.value

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference; NaN without ours.

        The two numbers are independent: each end adds the squares of our arm and of the paper's
        half-width (method of variance estimates recovery, Zou and Donner 2008).
        """
        if self.ours is None:
            return math.nan, math.nan
        paper = half_width(self.paper)
        below = math.hypot(self.ours.value - self.ours.low, paper)
        above = math.hypot(self.ours.high - self.ours.value, paper)
        return self.difference - below, self.difference + above

    @property
    def agrees(self) -> bool | None:
        """Whether the difference may be 0, to within the tolerance; None without ours."""
        if not self.is_comparable:
            return None
        low, high = self.interval
        return low <= self.within and high >= -self.within


def half_width(paper: Published) -> float:
    """Half the width of the 95 % interval of a paper's number, from its examples and trainings.

    The chance of its test examples is normal, that of its trainings has t's tails.
    """
    examples = NormalDist().inv_cdf(0.975) * paper.error_of_examples
    trainings = paper.error_of_trainings
    if trainings and paper.seeds is not None:
        trainings *= float(stdtrit(paper.seeds - 1, 0.975))
    return math.hypot(examples, trainings)
