"""Claims of a paper against what was measured. The verdict comes from the interval, not from the point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from invspec.analysis import coordinates, estimates, readings
from invspec.analysis.coordinates import Path
from invspec.analysis.estimates import Estimate
from invspec.analysis.readings import Estimator, Group, Reading, Store
from invspec.data import Interval
from invspec.errors import SpecError
from invspec.plan.planner import Plan
from invspec.spec.schema import Claim, Compare, Coords, Pick, Reduction, Scalar, Statistic, Trend

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


# ─ before anything is run ─────────────────────────────────────────────────────────────────────────────────────────────


def check(planned: Plan) -> None:
    """See that each claim picks cells, and one at each point. Raises SpecError with the claim's file and line."""
    coords = [cell.coords for cell in planned.cells]
    for number, claim in enumerate(planned.spec.claims):
        path = ("claims", number, claim.form)
        try:
            coordinates.check_measure(planned, claim.pick.measure, (*path, "measure"))
            of_measure = [one for one in coords if one["measure"] == claim.pick.measure]
            _check_pick(claim.pick, of_measure, path, _row_names(claim.pick, of_measure))
        except SpecError as problem:
            raise planned.spec.source.locate(problem) from None


def _sides(pick: Pick) -> dict[str, Coords]:
    """The places that a pick looks at, by the key that gives them: at, or of and to beside it."""
    if isinstance(pick, Compare):
        return {"of": pick.of, "to": pick.to}
    return {"at": {}}


def _axes(pick: Pick) -> tuple[str, ...]:
    return (*pick.over, pick.along) if isinstance(pick, Trend) else tuple(pick.over)


def _row_names(pick: Pick, coords: Sequence[Mapping[str, Scalar]]) -> set[str]:
    """The coordinates of a pick that only the rows of its measure can have; before those are computed, any may be."""
    named = {*pick.at, *_axes(pick), *(name for side in _sides(pick).values() for name in side)}
    return {name for name in named if name.startswith(f"{pick.measure}.")} - {
        name for one in coords for name in one
    }


def _check_pick(
    pick: Pick, coords: Sequence[Mapping[str, Scalar]], path: Path, unknown: set[str]
) -> None:
    """coords: of the measure's cells. unknown: the names of which nothing can be said yet."""
    coordinates.check_at(coords, _without(pick.at, unknown), (*path, "at"))
    points = [_check_side(pick, coords, key, path, unknown) for key in _sides(pick)]
    if len(points) == 2 and (unmatched := points[0] ^ points[1]):
        found = ", ".join(map(coordinates.shown, next(iter(unmatched))))
        axes = ", ".join(_axes(pick))
        raise SpecError(
            f"of and to are not both measured at {axes} {found}", hint="they are paired", path=path
        )


def _check_side(
    pick: Pick, coords: Sequence[Mapping[str, Scalar]], key: str, path: Path, unknown: set[str]
) -> set[tuple[Scalar, ...]]:
    """The points of one side of a pick."""
    side = _sides(pick)[key]
    if twice := sorted(set(pick.at) & set(side)):
        raise SpecError(
            f"{twice[0]} stands in at and in {key}; give one", path=(*path, key, twice[0])
        )
    near = [one for one in coords if coordinates.matches(one, _without(pick.at, unknown))]
    coordinates.check_at(near, _without(side, unknown), (*path, key))
    at_side = [one for one in near if coordinates.matches(one, _without(side, unknown))]
    for name in _axes(pick):
        where = (*path, "over", name) if name in pick.over else (*path, "along")
        if name not in unknown:
            _check_axis(name, at_side, where, _is_numeric(pick, name))
    chosen = [one for one in at_side if _has(one, set(_axes(pick)) - unknown)]
    if still := coordinates.varying(chosen, but=("seed", *_axes(pick))):
        hint = "fix it with at, or reduce it with over"
        raise SpecError(
            f"which cell is meant is open: {coordinates.listing(still)}", hint=hint, path=path
        )
    return {tuple(one[name] for name in _axes(pick) if name not in unknown) for one in chosen}


def _is_numeric(pick: Pick, name: str) -> bool:
    """Whether a coordinate must be a number: a trend runs along it, or it is the width of an area."""
    return (isinstance(pick, Trend) and name == pick.along) or pick.over.get(name) == "area"


def _check_axis(name: str, near: Sequence[Mapping[str, Scalar]], path: Path, numeric: bool) -> None:
    if name in ("seed", "measure"):
        raise SpecError(
            f"{name} is no coordinate to go along", hint="seeds are averaged always", path=path
        )
    coordinates.check_name(name, dict.fromkeys(known for one in near for known in one), path)
    values = dict.fromkeys(one[name] for one in near if name in one)
    if numeric and not all(coordinates.number(value) is not None for value in values):
        raise SpecError(
            f"{name} is not a number: {', '.join(map(coordinates.shown, values))}", path=path
        )
    if numeric and len(values) < 2:
        raise SpecError(
            f"{name} has one value here, {coordinates.shown(next(iter(values)))}",
            hint="sweep it",
            path=path,
        )


def _has(coords: Mapping[str, Scalar], names: Iterable[str]) -> bool:
    """Cells that have no such coordinate are not on the way along it."""
    return all(name in coords for name in names)


def _without(coords: Coords, names: set[str]) -> Coords:
    return {name: value for name, value in coords.items() if name not in names}


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
    if _row_names(pick, coords) and not any(group.present for group in near):
        return []
    try:
        _check_pick(pick, coords, ("claims", number, claim.form), set())
    except SpecError as problem:
        raise planned.spec.source.locate(problem) from None
    axes = _axes(pick)
    on_axes = [group for group in near if _has(group.coords, axes)]
    return [
        {
            tuple(one.coords[name] for name in axes): one
            for one in on_axes
            if coordinates.matches(one.coords, place)
        }
        for place in ({**pick.at, **side} for side in _sides(pick).values())
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
