"""Claims of a paper against what was measured. The verdict comes from the interval, not from the point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from invspec.analysis import estimates, readings
from invspec.analysis.estimates import Estimate
from invspec.analysis.readings import Estimator, Group, Reading, Store
from invspec.data import Interval
from invspec.errors import SpecError, refuse
from invspec.plan import coordinates, picks
from invspec.plan.cells import Plan
from invspec.plan.validation.claims import pick_problems
from invspec.spec.schema import Claim, Compare, Reduction, Scalar, Statistic, Trend

Outcome = Literal["holds", "fails", "undecided", "missing"]


OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


Points = dict[
    tuple[Scalar, ...], Group
]  # by the values of the coordinates that a claim reduces or runs along


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: its statistic with the 95 % interval, or how many of the scores it needs are lacking."""

    claim: Claim
    outcome: Outcome
    value: float | None = None
    low: float | None = None
    high: float | None = None
    lacking: int = 0

    @property
    def statistic(self) -> Statistic:
        """value, difference, ratio or correlation."""
        return self.claim.statistic

    @property
    def bound(self) -> tuple[float, float]:
        """The open interval in which the claim wants the statistic."""
        return self.claim.bound.range

    @property
    def published(self) -> float | None:
        """The paper's own number."""
        return self.claim.published


def decide(low: float, high: float, bound: tuple[float, float]) -> Outcome:
    """What an interval [low, high] says about an open range.

    >>> decide(0.6, 0.7, (0.5, 1.0)), decide(0.4, 0.5, (0.5, 1.0)), decide(0.4, 0.6, (0.5, 1.0))
    ('holds', 'fails', 'undecided')
    """
    least, most = bound
    if least < low and high < most:
        return "holds"
    return "fails" if high <= least or low >= most else "undecided"


# ─ after it ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def judge(planned: Plan, store: Store) -> list[Verdict]:
    """A verdict on each claim, in the order of the spec."""
    return judged(planned, readings.groups(readings.collect(planned, store)), Estimator())


def judged(planned: Plan, groups: Sequence[Group], estimator: Estimator) -> list[Verdict]:
    """Verdicts from groups that have been read already.

    Raises SpecError where a claim does not tell the rows of a measure apart, which shows only once they are there.
    """
    sought = [
        _sought(planned, number, claim, groups) for number, claim in enumerate(planned.spec.claims)
    ]
    estimator.prepare(group for points in sought for side in points for group in side.values())
    pairs = zip(planned.spec.claims, sought, strict=True)
    return [_verdict(claim, points, estimator) for claim, points in pairs]


def _sought(planned: Plan, number: int, claim: Claim, groups: Sequence[Group]) -> list[Points]:
    """The groups that a claim needs, side by side; none where its rows are not known yet."""
    pick = claim.pick
    near = [group for group in groups if group.coords["measure"] == pick.measure]
    coords = [group.coords for group in near]
    if picks.row_names(pick, coords) and not any(group.present for group in near):
        return []
    try:
        refuse(pick_problems(pick, coords, ("claims", number, claim.form), set()))
    except SpecError as problem:
        raise planned.spec.source.locate(problem) from None
    axes = picks.axes(pick)
    on_axes = [group for group in near if picks.has(group.coords, axes)]
    return [
        {
            tuple(one.coords[name] for name in axes): one
            for one in on_axes
            if coordinates.matches(one.coords, place)
        }
        for place in ({**pick.at, **side} for side in picks.sides(pick).values())
    ]


def _verdict(claim: Claim, points: Sequence[Points], estimator: Estimator) -> Verdict:
    lacking = sum(group.missing for side in points for group in side.values())
    if lacking or not points:
        return Verdict(claim, "missing", lacking=max(lacking, 1))
    value, low, high = _statistic(claim, points, estimator)
    return Verdict(claim, decide(low, high, claim.bound.range), value, low, high)


def _statistic(
    claim: Claim, points: Sequence[Points], estimator: Estimator
) -> tuple[float, float, float]:
    """The statistic of a claim and its 95 % interval."""
    pick = claim.pick
    if claim.value is not None and not pick.over and (own := _own_interval(points[0], estimator)):
        return own.value, own.low, own.high
    sides = [{at: estimator.estimate(group) for at, group in side.items()} for side in points]
    if isinstance(pick, Compare):
        heights = {at: _compared(claim.statistic, sides[0][at], sides[1][at]) for at in sides[0]}
    else:
        (heights,) = sides
    reduced = _reduce(heights, list(pick.over.values()))
    if isinstance(pick, Trend):
        found = estimates.spearman([_place(at[0]) for at in reduced], list(reduced.values()))
    else:
        (found,) = reduced.values()
    return found.point, *found.interval()


def _own_interval(points: Points, estimator: Estimator) -> Interval | None:
    """The interval of a single row, which needs no average over seeds."""
    readings: list[Reading] = [reading for group in points.values() for reading in group.readings]
    return estimator.interval(readings[0]) if len(readings) == 1 else None


def _compared(statistic: Statistic, one: Estimate, other: Estimate) -> Estimate:
    return one - other if statistic == "difference" else one / other


def _reduce(
    heights: Mapping[tuple[Scalar, ...], Estimate], reductions: Sequence[Reduction]
) -> dict[tuple[Scalar, ...], Estimate]:
    """Reduce the leading coordinates of the points, one after the other."""
    reduced = dict(heights)
    for reduction in reductions:
        rest = dict.fromkeys(at[1:] for at in reduced)
        reduced = {key: _reduced(reduction, dict(_slice(reduced, key))) for key in rest}
    return reduced


def _slice(
    heights: Mapping[tuple[Scalar, ...], Estimate], rest: tuple[Scalar, ...]
) -> Iterator[tuple[Scalar, Estimate]]:
    return ((at[0], height) for at, height in heights.items() if at[1:] == rest)


def _reduced(reduction: Reduction, heights: Mapping[Scalar, Estimate]) -> Estimate:
    values = list(heights.values())
    match reduction:
        case "mean":
            return estimates.average(values)
        case "area":
            return estimates.area(values, [_place(at) for at in heights])
        case "least":
            return estimates.least(values)
        case "greatest":
            return estimates.greatest(values)
        case "magnitude":
            return estimates.magnitude(values)


def _place(value: Scalar) -> float:
    place = coordinates.number(value)
    assert place is not None, f"{value!r} was checked to be a number"
    return place
