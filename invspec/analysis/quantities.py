"""The statistic of a claim, with the ends of its interval, from groups of readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from invspec.analysis import estimates
from invspec.analysis.estimates import Estimate
from invspec.analysis.estimator import Estimator
from invspec.analysis.readings import Group
from invspec.errors import SpecError, refuse
from invspec.plan import coordinates, picks
from invspec.plan.cells import Plan
from invspec.plan.validation.claims import pick_problems
from invspec.spec.schema import Claim, Compare, Reduction, Scalar, Statistic, Trend

# The values of the coordinates that a claim reduces or runs along.
Point = tuple[Scalar, ...]
# One side of a claim: the group of readings at each point.
Side = dict[Point, Group]


def sides_of(plan: Plan, number: int, claim: Claim, groups: Sequence[Group]) -> list[Side]:
    """The sides of a claim: two for a comparison, else one; [] while its rows are unknown."""
    pick = claim.pick
    of_measure = [group for group in groups if group.coords["measure"] == pick.measure]
    coords = [group.coords for group in of_measure]
    if picks.row_names(pick, coords) and not any(group.present for group in of_measure):
        return []
    try:
        refuse(pick_problems(pick, coords, ("claims", number, claim.form), set()))
    except SpecError as problem:
        raise plan.spec.source.locate(problem) from None
    axes = picks.axes(pick)
    on_axes = [group for group in of_measure if picks.has(group.coords, axes)]
    return [
        {
            tuple(group.coords[name] for name in axes): group
            for group in on_axes
            if coordinates.matches(group.coords, {**pick.at, **side})
        }
        for side in picks.sides(pick).values()
    ]


def statistic(claim: Claim, sides: Sequence[Side], estimator: Estimator) -> Estimate:
    """The statistic of a claim."""
    pick = claim.pick
    profiles = [
        {point: estimator.estimate(group) for point, group in side.items()} for side in sides
    ]
    if isinstance(pick, Compare):
        first, second = profiles
        profile = {
            point: _compared(claim.statistic, first[point], second[point]) for point in first
        }
    else:
        (profile,) = profiles
    reduced = _reduce_all(profile, list(pick.over.values()))
    if isinstance(pick, Trend):
        positions = [_position(along) for (along,) in reduced]
        result = estimates.spearman(positions, list(reduced.values()))
    else:
        (result,) = reduced.values()
    return result


def _compared(statistic: Statistic, first: Estimate, second: Estimate) -> Estimate:
    return first - second if statistic == "difference" else first / second


def _reduce_all(
    profile: Mapping[Point, Estimate], reductions: Sequence[Reduction]
) -> dict[Point, Estimate]:
    """Reduce the leading coordinates of the points, one after the other."""
    reduced = dict(profile)
    for reduction in reductions:
        slices: dict[Point, dict[Scalar, Estimate]] = {}
        for (first, *others), estimate in reduced.items():
            slices.setdefault(tuple(others), {})[first] = estimate
        reduced = {point: _reduce(reduction, heights) for point, heights in slices.items()}
    return reduced


def _reduce(reduction: Reduction, heights: Mapping[Scalar, Estimate]) -> Estimate:
    values = list(heights.values())
    match reduction:
        case "mean":
            return estimates.average(values)
        case "area":
            return estimates.area(values, [_position(value) for value in heights])
        case "least":
            return estimates.least(values)
        case "greatest":
            return estimates.greatest(values)
        case "magnitude":
            return estimates.magnitude(values)


def _position(value: Scalar) -> float:
    position = coordinates.number(value)
    assert position is not None, f"the check of the claim accepted {value!r} as a number"
    return position
