"""The statistic of a claim, with the ends of its interval, from groups of readings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

import numpy as np

from invspec.analysis import estimates
from invspec.analysis.estimates import Estimate, Floats
from invspec.analysis.estimator import Estimator
from invspec.analysis.readings import Group
from invspec.errors import SpecError, refuse
from invspec.plan import coordinates, picks
from invspec.plan.cells import Plan
from invspec.plan.picks import Point, Profile, Wanted
from invspec.plan.validation.claims import node_problems
from invspec.spec.numbers import Quantile
from invspec.spec.schema import Reduction, Scalar
from invspec.spec.trees import Leaf, Node

# The groups of readings of a leaf, one at each point.
Side = Profile[Group]
Estimates = Profile[Estimate | float]


def sides_of(plan: Plan, node: Node, groups: Sequence[Group]) -> list[Side]:
    """The groups of each leaf of a claim's number; [] while the rows of a leaf are unknown.

    Raises: SpecError if several rows of a measure match a leaf, which is only known once they are
        computed.
    """
    by_leaf = [_of_measure(leaf, groups) for leaf in node.leaves]
    names = _consumed(node)
    for leaf, own in zip(node.leaves, by_leaf, strict=True):
        coords = [group.coords for group in own]
        if picks.row_names(leaf, map(leaf.own, names), coords) and not any(
            group.present for group in own
        ):
            return []
    try:
        refuse(node_problems(node, picks.by_measure(group.coords for group in groups)))
    except SpecError as problem:
        raise plan.spec.source.locate(problem) from None
    return _sides(node, Wanted(), iter(by_leaf))


def statistic(node: Node, sides: Sequence[Side], estimator: Estimator) -> Estimate:
    """The statistic of a claim with its replicates; what shares examples is paired.

    A replicate in which 0 is divided by 0 is NaN, and remains so in everything made of it.
    """
    leaves = iter(sides)
    profile = _evaluated(node, Wanted(), leaves, estimator)
    (result,) = profile.values()
    assert isinstance(result, Estimate), "checked when the claim was read: some part is measured"
    return result


def _consumed(node: Node) -> set[str]:
    """All coordinates that a node and those inside it consume."""
    inner = (_consumed(part) for part in node.parts if isinstance(part, Node))
    return set(node.own_axes).union(*inner)


def _of_measure(leaf: Leaf, groups: Sequence[Group]) -> list[Group]:
    return [group for group in groups if group.coords["measure"] == leaf.measure]


def _sides(node: Node, outer: Wanted, groups: Iterator[list[Group]]) -> list[Side]:
    """The sides of the leaves of a node, from left to right."""
    wanted, sides = outer.inside(node), list[Side]()
    for part in node.parts:
        if isinstance(part, Node):
            sides += _sides(part, wanted, groups)
        elif isinstance(part, Leaf):
            sides.append(_side(part, wanted, next(groups)))
    return sides


def _side(leaf: Leaf, wanted: Wanted, groups: Sequence[Group]) -> Side:
    there = [group for group in groups if coordinates.matches(group.coords, leaf.at)]
    axes = picks.varying_axes(leaf, wanted, [group.coords for group in there])
    on_axes = [group for group in there if picks.has_all(leaf, group.coords, axes, wanted)]
    return Profile(axes, {picks.point(leaf, group.coords, axes): group for group in on_axes})


# ─ nodes ──────────────────────────────────────────────────────────────────────────────────────────


def _evaluated(node: Node, outer: Wanted, sides: Iterator[Side], estimator: Estimator) -> Estimates:
    """The numbers of a node at the points that are left when it has consumed its coordinates."""
    wanted = outer.inside(node)
    profiles = [_part(part, wanted, sides, estimator) for part in node.parts]
    axes, points = picks.joined(profiles, wanted.names)
    columns = {point: [profile.at(axes, point) for profile in profiles] for point in points}
    result = _combined(node, Profile(axes, columns))
    for name, reduction in node.over.items():
        result = _reduced(result, name, reduction)
    return result


def _part(
    part: Node | Leaf | float, wanted: Wanted, sides: Iterator[Side], estimator: Estimator
) -> Estimates:
    if isinstance(part, Node):
        return _evaluated(part, wanted, sides, estimator)
    if isinstance(part, Leaf):
        side = next(sides)
        heights = {point: estimator.estimate(group) for point, group in side.heights.items()}
        return Profile(side.axes, heights)
    return Profile((), {(): part})


def _combined(node: Node, columns: Profile[list[Estimate | float]]) -> Estimates:
    """The operation of a node at each point, or along its axis."""
    consumed = [name for name in columns.axes if name == node.along or name in node.across]
    if not consumed:
        heights = {point: _pointwise(node, parts) for point, parts in columns.heights.items()}
        return Profile(columns.axes, heights)
    remaining = tuple(name for name in columns.axes if name not in consumed)
    groups = picks.slices(columns, consumed)
    return Profile(remaining, {point: _related(node, along) for point, along in groups})


def _pointwise(node: Node, parts: Sequence[Estimate | float]) -> Estimate | float:
    """The operation of a node on the numbers at one point."""
    match node.word:
        case "value":
            return parts[0]
        case "difference":
            return parts[0] - parts[1]
        case "ratio":
            return estimates.lift(lambda v: v[0] / v[1], *parts)
        case "sum":
            return estimates.lift(lambda v: v.sum(axis=0), *parts)
        case "least":
            return estimates.lift(lambda v: v.min(axis=0), *parts)
        case "greatest":
            return estimates.lift(lambda v: v.max(axis=0), *parts)
        case _:
            raise AssertionError(f"{node.word} needs several points")


def _related(node: Node, along: Mapping[Point, Sequence[Estimate | float]]) -> Estimate:
    """The operation of a node on the numbers at all points of its axis."""
    columns = [list(column) for column in zip(*along.values(), strict=True)]
    if node.word == "dominance":
        return dominance(columns)
    if node.across:
        first, second = columns
        return estimates.spearman(first, second)
    positions = [_position(value) for (value,) in along]
    (heights,) = columns
    if node.word == "correlation":
        return estimates.spearman(positions, heights)
    ordered = [heights[place] for place in np.argsort(positions, kind="stable")]
    if node.word == "least_step":
        return estimates.lift(lambda v: np.diff(v, axis=0).min(axis=0), *ordered)
    return estimates.lift(lambda v: np.diff(v, axis=0).max(axis=0), *ordered)


def dominance(columns: Sequence[Sequence[Estimate | float]]) -> Estimate:
    """By how much one point exceeds another in all columns, for the pair where that is most.

    For each ordered pair of points, the least difference of any column; the greatest over pairs.
    """
    count = len(columns[0])

    def greatest(values: Floats) -> Floats:
        by_column = values.reshape(len(columns), count, -1)
        best = np.full(by_column.shape[-1], -np.inf)
        for first, second in permutations(range(count), 2):
            best = np.maximum(best, (by_column[:, first] - by_column[:, second]).min(axis=0))
        return best

    return estimates.lift(greatest, *(number for column in columns for number in column))


# ─ reductions ─────────────────────────────────────────────────────────────────────────────────────


def _reduced(profile: Estimates, name: str, reduction: Reduction) -> Estimates:
    """A profile reduced over one of its axes; the same if it is constant along it."""
    if name not in profile.axes:
        return profile
    remaining = tuple(axis for axis in profile.axes if axis != name)
    groups = picks.slices(profile, [name])
    heights = {
        point: _reduce(reduction, [value for (value,) in along], list(along.values()))
        for point, along in groups
    }
    return Profile(remaining, heights)


def _reduce(
    reduction: Reduction, positions: Sequence[Scalar | None], values: Sequence[Estimate | float]
) -> Estimate:
    if isinstance(reduction, Quantile):
        return _quantile(values, reduction.quantile)
    match reduction:
        case "mean":
            return estimates.average(values)
        case "median":
            return _quantile(values, 0.5)
        case "area":
            return estimates.area(values, [_position(value) for value in positions])
        case "least":
            return estimates.least(values)
        case "greatest":
            return estimates.greatest(values)
        case "magnitude":
            return estimates.magnitude(values)


def _quantile(values: Sequence[Estimate | float], level: float) -> Estimate:
    """A quantile of several numbers, interpolated between the two nearest."""
    return estimates.lift(lambda v: np.quantile(v, level, axis=0), *values)


def _position(value: Scalar | None) -> float:
    position = coordinates.number(value)
    assert position is not None, f"the check of the claim accepted {value!r} as a number"
    return position
