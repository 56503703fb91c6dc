"""The numbers of two studies side by side: paired differences and what they decide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from invspec.analysis.estimates import Estimate
from invspec.analysis.estimator import Summary
from invspec.analysis.joint import Joint
from invspec.analysis.overlap import Overlap, overlap
from invspec.analysis.readings import Group
from invspec.analysis.scopes import Scope, nets_of, scope_of
from invspec.analysis.sides import Side, shared_nets
from invspec.analysis.significance import LEVEL, holm, p_value, spread
from invspec.kinds import Measure
from invspec.plan import matching
from invspec.plan.matching import Match
from invspec.spec.schema import Coords, Scalar
from invspec.tasks import without_seed

# higher, lower: B against A, after the correction; equal: every outcome, to the last bit
Outcome = Literal[
    "higher",
    "lower",
    "not decided",
    "equal",
    "not comparable",
    "missing",
    "only in A",
    "only in B",
]
Nets = Literal["same nets", "by seed", "independent trainings"]
ABOVE = (0.0, math.inf)


@dataclass(frozen=True, eq=False)
class Contrast:
    """A number of A, the same number of B, and their difference B - A with its 95 % interval.

    coords are those of A, or of B where A has none; in_b holds those that B has otherwise. outcome
    is the one after Holm's correction, raw that of the interval alone. overlap says which examples
    both judged, nets how their trainings belong together. is_better says whether B is better,
    where the measure has a better side. reason says why there is no difference.
    """

    coords: Coords
    outcome: Outcome
    a: Summary | None = None
    b: Summary | None = None
    in_b: Mapping[str, Scalar | None] = field(default_factory=dict[str, "Scalar | None"])
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    raw: Outcome = "missing"
    p: float | None = None
    corrected_p: float | None = None
    df: float = math.inf
    scope: Scope = "nets"
    overlap: Overlap | None = None
    nets: Nets | None = None
    is_better: bool | None = None
    doubts: tuple[str, ...] = ()
    reason: str = ""


def contrasts(first: Side, second: Side, matches: Sequence[Match] = ()) -> list[Contrast]:
    """The numbers of two studies side by side, then those that only one of them has.

    Numbers belong together if they have equal coordinates, seeds aside, or as matches say.

    Raises: SpecError for a match of which one study has nothing.
    """
    a, b = first.groups, second.groups
    places = matching.pairs([g.coords for g in a], [g.coords for g in b], matches)
    rows = [(None if i is None else a[i], None if j is None else b[j]) for i, j in places]
    both = [(own, other) for own, other in rows if own is not None and other is not None]
    joint = estimator_of(first, second, both)
    joint.prepare(group for pair in both for group in pair)
    numbers = {**first.health.summaries(a, joint), **second.health.summaries(b, joint)}
    comparer = _Comparer(first, second, joint, numbers)
    return corrected([comparer.contrast(own, other) for own, other in rows])


def estimator_of(first: Side, second: Side, both: Sequence[tuple[Group, Group]]) -> Joint:
    """The estimator of the numbers of two studies, some of which belong together."""
    shared = shared_nets(first, second)
    return Joint(
        groups=[*first.groups, *second.groups],
        second=frozenset(second.groups),
        paired=frozenset(
            group
            for side in (first, second)
            for group in (side.groups if side.plan.spec.seeds_paired else ())
        ),
        retrained=frozenset(map(without_seed, (first.nets & second.nets) - shared)),
        reseeded=frozenset(other for own, other in both if _seeds(own) != _seeds(other)),
        apart=frozenset(
            other for own, other in both if overlap(own, other).kind in ("none", "unknown")
        ),
    )


@dataclass(frozen=True, eq=False)
class _Comparer:
    """Compares groups of two studies that belong together."""

    first: Side
    second: Side
    joint: Joint
    numbers: Mapping[Group, Summary]

    def contrast(self, own: Group | None, other: Group | None) -> Contrast:
        """A row of the comparison: two groups, or one without a partner."""
        if own is None or other is None:
            return self._alone(own, other)
        a, b = self.numbers.get(own), self.numbers.get(other)
        names = dict.fromkeys([*own.coords, *other.coords])
        in_b = {
            name: other.coords.get(name)
            for name in names
            if own.coords.get(name) != other.coords.get(name)
        }
        row = Contrast(own.coords, "missing", a, b, in_b)
        if a is None or b is None:
            absent = [name for name, number in (("A", a), ("B", b)) if number is None]
            return replace(row, reason=f"not computed in {' and '.join(absent)}")
        if reason := _misfit(own, other):
            return replace(row, outcome="not comparable", reason=reason)
        return self._difference(row, own, other)

    def _alone(self, own: Group | None, other: Group | None) -> Contrast:
        group = own or other
        assert group is not None, "a row is of one side at least"
        number = self.numbers.get(group)
        if own is None:
            return Contrast(group.coords, "only in B", b=number)
        return Contrast(group.coords, "only in A", a=number)

    def _difference(self, row: Contrast, own: Group, other: Group) -> Contrast:
        difference = self.joint.estimate(other) - self.joint.estimate(own)
        measure = own.readings[0].cell.goal.measure
        row = replace(
            row,
            scope=scope_of([own, other], self.joint.deviations),
            overlap=overlap(own, other),
            nets=self._nets(own, other),
            doubts=tuple(dict.fromkeys(doubt for n in (row.a, row.b) if n for doubt in n.doubts)),
        )
        if _has_equal_rows(own, other):
            low, high = (0.0, 0.0) if _is_one(own, other) else difference.interval()
            return replace(row, outcome="equal", raw="equal", difference=0.0, low=low, high=high)
        if math.isnan(difference.point):
            return replace(
                row, outcome="not decided", raw="not decided", reason="both are infinite"
            )
        low, high = self._hull(own, other, difference)
        raw = decided(low, high)
        return replace(
            row,
            raw=raw,
            difference=difference.point,
            low=low,
            high=high,
            # what may be off by a doubt decides nothing
            p=1.0 if row.doubts and raw == "not decided" else p_value(difference, ABOVE),
            df=spread(difference).total_df,
            is_better=_is_better(measure, difference.point),
        )

    def _hull(self, own: Group, other: Group, difference: Estimate) -> tuple[float, float]:
        """The interval of a difference, as far as numbers in doubt may move it."""
        low, high = difference.interval()
        fall, rise = self.first.health.shifts(own)
        down, up = self.second.health.shifts(other)
        return low + down - rise, high + up - fall

    def _nets(self, own: Group, other: Group) -> Nets:
        if nets_of([own]) == nets_of([other]) and self.joint.net(own) == self.joint.net(other):
            return "same nets"
        return "by seed" if self.joint.is_paired_by_seed(own, other) else "independent trainings"


def decided(low: float, high: float) -> Outcome:
    """What the interval of a difference decides.

    >>> decided(0.1, 0.2), decided(-0.2, -0.1), decided(-0.1, 0.2)
    ('higher', 'lower', 'not decided')
    """
    if low > 0:
        return "higher"
    return "lower" if high < 0 else "not decided"


def corrected(rows: Sequence[Contrast]) -> list[Contrast]:
    """The outcomes after Holm's correction for the number of differences that were tested."""
    tested = [place for place, row in enumerate(rows) if row.p is not None]
    levels = holm([rows[place].p or 0.0 for place in tested])
    by_place = dict(zip(tested, levels, strict=True))
    return [_corrected(row, by_place.get(place)) for place, row in enumerate(rows)]


def _corrected(row: Contrast, p: float | None) -> Contrast:
    if p is None:
        return row
    return replace(row, corrected_p=p, outcome=row.raw if p <= LEVEL else "not decided")


def _has_equal_rows(own: Group, other: Group) -> bool:
    """Whether both have the same seeds and, for each, the same outcomes to the last bit."""
    rows = ({r.coords["seed"]: r.row for r in group.present} for group in (own, other))
    first, second = rows
    return first == second


def _is_one(own: Group, other: Group) -> bool:
    """Whether both are the results of one task for each seed."""
    return [r.cell.goal for r in own.present] == [r.cell.goal for r in other.present]


def _seeds(group: Group) -> set[Scalar]:
    return {reading.coords["seed"] for reading in group.present}


def _misfit(own: Group, other: Group) -> str:
    """Why the numbers of two measures cannot be subtracted; empty if they can."""
    first, second = (type(group.readings[0].cell.goal.measure) for group in (own, other))
    if first is not second:
        return f"measured by {first.__name__} in A, by {second.__name__} in B"
    if own.present[0].range != other.present[0].range:
        return "the measure has another range in B"
    return ""


def _is_better(measure: Measure, difference: float) -> bool | None:
    """Whether a difference is for the better: where attacks weaken a number, higher is better."""
    if not difference or measure.bound not in ("upper", "lower"):
        return None
    return (difference > 0) == (measure.bound == "upper")
