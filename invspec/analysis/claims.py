"""Verdicts on the claims of a paper, from the intervals of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from invspec.analysis import health, hulls, quantities, readings
from invspec.analysis.estimator import Estimator
from invspec.analysis.health import Health
from invspec.analysis.quantities import Side
from invspec.analysis.readings import Artifacts, Group
from invspec.plan.cells import Plan
from invspec.spec.schema import Claim, Statistic

Outcome = Literal["holds", "fails", "undecided", "missing"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim: its statistic with a 95 % interval, or the missing scores.

    doubts are the reasons for which its numbers are in doubt; the interval then is the hull.
    """

    claim: Claim
    outcome: Outcome
    value: float | None = None
    low: float | None = None
    high: float | None = None
    missing_scores: int = 0
    doubts: tuple[str, ...] = ()

    @property
    def statistic(self) -> Statistic:
        """value, difference, ratio or correlation."""
        return self.claim.statistic

    @property
    def bound(self) -> tuple[float, float]:
        """The open range in which the claim expects the statistic."""
        return self.claim.bound.range

    @property
    def published(self) -> float | None:
        """The value in the paper."""
        return self.claim.published


def decide(low: float, high: float, bound: tuple[float, float]) -> Outcome:
    """The outcome of a claim that expects an open range, from the interval [low, high].

    >>> decide(0.6, 0.7, (0.5, 1.0)), decide(0.4, 0.5, (0.5, 1.0)), decide(0.4, 0.6, (0.5, 1.0))
    ('holds', 'fails', 'undecided')
    """
    least, most = bound
    if least < low and high < most:
        return "holds"
    return "fails" if high <= least or low >= most else "undecided"


def judge(plan: Plan, store: Artifacts) -> list[Verdict]:
    """A verdict on each claim, in the order of the spec."""
    groups = readings.groups(readings.collect(plan, store))
    return judged(plan, groups, Estimator(), health.health(plan, store))


def judged(
    plan: Plan, groups: Sequence[Group], estimator: Estimator, health: Health
) -> list[Verdict]:
    """A verdict on each claim, from groups of readings and what the checks found.

    Raises: SpecError if several rows of a measure match a claim, which is only known once they
        are computed.
    """
    claims = plan.spec.claims
    sides_of = [
        quantities.sides_of(plan, number, claim, groups) for number, claim in enumerate(claims)
    ]
    # All groups at once: their replicates are computed together.
    estimator.prepare(group for sides in sides_of for side in sides for group in side.values())
    return [
        _verdict(claim, sides, estimator, health)
        for claim, sides in zip(claims, sides_of, strict=True)
    ]


def _verdict(claim: Claim, sides: Sequence[Side], estimator: Estimator, health: Health) -> Verdict:
    missing = sum(group.missing for side in sides for group in side.values())
    if missing or not sides:
        return Verdict(claim, "missing", missing_scores=max(missing, 1))
    used = [group for side in sides for group in side.values()]
    value, low, high = hulls.hull(
        health, partial(quantities.statistic, claim, sides), used, estimator
    )
    outcome = decide(low, high, claim.bound.range)
    return Verdict(claim, outcome, value, low, high, doubts=health.reasons(used))
