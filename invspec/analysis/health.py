"""Which numbers are in doubt because a check of their net or attack failed, and by how much.

The number of an attack is a bound: a stronger attack may lower robust accuracy, and never raises
it. Where a check that gates fails, the interval of a number becomes the hull of its own and of that
at its worst: what a stronger attack left or, if none was tried, the end of the measure's range.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from invspec.analysis.estimates import Estimate
from invspec.analysis.estimator import Estimator, Summary
from invspec.analysis.readings import Artifacts, Group, Reading
from invspec.data import Finding, Interval
from invspec.ops.types import REALS, SHARES
from invspec.plan.cells import Cell, Examination, Plan, net_words
from invspec.plan.examinations import attacks_of, searches
from invspec.spec.resolved import Spec
from invspec.tasks import Train

# a statistic of a claim and both ends of its interval
Ends = tuple[float, float, float]
Statistic = Callable[[Estimator], Ends]
# by how much numbers may be off: the largest shift down and the largest shift up
Shifts = tuple[float, float]

# Largest number of combinations of extremes that are all tried.
MAX_CORNERS = 243
# Combinations of values between the extremes, where rank correlations may have theirs.
BETWEEN = 32


@dataclass(frozen=True, eq=False)
class Record:
    """An examination with its finding and seconds; None if it was not run."""

    examination: Examination
    finding: Finding | None = None
    seconds: float | None = None

    @property
    def gates(self) -> bool:
        """Whether a failure puts numbers in doubt."""
        return self.examination.goal.check.gates

    @property
    def status(self) -> str:
        """passes, fails, warns, skipped, or not checked."""
        if self.finding is None:
            return "not checked"
        return "warns" if self.finding.status == "fails" and not self.gates else self.finding.status

    @property
    def reason(self) -> str:
        """What is wrong, and the check that says so."""
        return f"{self.finding.reason} ({self.examination.check})" if self.finding else ""


@dataclass(frozen=True)
class Health:
    """What the checks of a plan found. is_off: the spec says `checks: none`."""

    spec: Spec
    records: tuple[Record, ...] = ()
    is_off: bool = False
    _known: dict[Group, tuple[Record, ...]] = field(
        default_factory=dict[Group, "tuple[Record, ...]"], compare=False
    )

    @cached_property
    def failures(self) -> Mapping[Train, Sequence[Record]]:
        """The failed examinations that gate, by net."""
        failures: dict[Train, list[Record]] = {}
        for record in self.records:
            if record.status == "fails":
                failures.setdefault(record.examination.goal.train, []).append(record)
        return failures

    @cached_property
    def nets(self) -> dict[str, str]:
        """Each net in words, and whether it passes, fails or is not checked in full."""
        statuses: dict[str, set[str]] = {}
        for record in self.records:
            if record.gates:
                statuses.setdefault(net_words(record.examination.net), set()).add(record.status)
        rank = ("fails", "not checked")
        return {
            net: next((status for status in rank if status in seen), "passes")
            for net, seen in statuses.items()
        }

    def doubts(self, group: Group) -> tuple[Record, ...]:
        """The failed examinations that put some number of a group in doubt."""
        if group not in self._known:
            found = (record for reading in group.present for record in self.of_reading(reading))
            self._known[group] = tuple(dict.fromkeys(found))
        return self._known[group]

    def reasons(self, groups: Iterable[Group]) -> tuple[str, ...]:
        """Why numbers are in doubt, each reason once."""
        doubts = (record for group in groups for record in self.doubts(group))
        return tuple(dict.fromkeys(record.reason for record in doubts))

    def of_reading(self, reading: Reading) -> list[Record]:
        """The failed examinations that put a number in doubt."""
        goal = reading.cell.goal
        own = self.failures.get(goal.train, ())
        of_oracle = self.failures.get(goal.oracle, ()) if goal.oracle else ()
        return [
            *(record for record in own if _concerns(record, reading.cell, self.spec)),
            *(record for record in of_oracle if _doubts_everything(record)),
        ]

    def shifts(self, group: Group) -> Shifts:
        """By how much the mean over seeds may fall and rise."""
        extremes = [self._extremes(reading) for reading in group.present]
        return _mean(low for low, _ in extremes), _mean(high for _, high in extremes)

    def _extremes(self, reading: Reading) -> Shifts:
        shifts = [(0.0, 0.0), *(_shifts(reading, record) for record in self.of_reading(reading))]
        downs, ups = zip(*shifts, strict=True)
        return min(downs), max(ups)

    # ─ numbers ────────────────────────────────────────────────────────────────────────────────

    def summaries(self, groups: Sequence[Group], estimator: Estimator) -> dict[Group, Summary]:
        """The summary of each computed group; where it is in doubt, with the hull and reasons."""
        return {
            group: self._summary(group, summary)
            for group, summary in estimator.summaries(groups).items()
        }

    def _summary(self, group: Group, summary: Summary) -> Summary:
        if not (reasons := self.reasons([group])):
            return summary
        down, up = self.shifts(group)
        low, high = _clipped(group, summary.low + down), _clipped(group, summary.high + up)
        return replace(summary, low=low, high=high, doubts=reasons)

    def intervals(
        self, readings: Sequence[Reading], estimator: Estimator
    ) -> dict[Reading, Interval]:
        """The intervals of computed readings; where they are in doubt, the hull."""
        own = estimator.intervals(readings)
        return {reading: self._interval(reading, number) for reading, number in own.items()}

    def _interval(self, reading: Reading, number: Interval) -> Interval:
        down, up = self._extremes(reading)
        if not (down or up):
            return number
        group = Group(reading.coords, (reading,))
        low, high = _clipped(group, number.low + down), _clipped(group, number.high + up)
        return replace(number, low=low, high=high)

    def hull(self, statistic: Statistic, groups: Iterable[Group], estimator: Estimator) -> Ends:
        """The value of a statistic with the hull of its intervals over what the numbers may be."""
        face = statistic(estimator)
        shifts = {group: self.shifts(group) for group in groups if self.doubts(group)}
        doubtful = {group: both for group, both in shifts.items() if any(both)}
        if not doubtful:
            return face
        chosen = _choices(doubtful, lambda moved: statistic(_moved(estimator, moved)), face)
        ends = [face, *(statistic(_moved(estimator, moved)) for moved in chosen)]
        # a statistic that is NaN, as 0 / 0 is, may be anything
        low = min(-np.inf if np.isnan(low) else low for _, low, _ in ends)
        high = max(np.inf if np.isnan(high) else high for _, _, high in ends)
        return face[0], float(low), float(high)


def health(plan: Plan, store: Artifacts) -> Health:
    """What the store holds of a plan's examinations."""
    records = (_record(examination, store) for examination in plan.examinations)
    return Health(plan.spec, tuple(records), is_off=not plan.spec.checks)


def _record(examination: Examination, store: Artifacts) -> Record:
    if examination.goal not in store:
        return Record(examination)
    seconds = float(store.made(examination.goal).get("seconds", 0))
    return Record(examination, store.load(examination.goal).finding, seconds)


# ─ what a failure is about ────────────────────────────────────────────────────────────────────────


def _concerns(record: Record, cell: Cell, spec: Spec) -> bool:
    """Whether a failed examination of a cell's net puts the cell's number in doubt."""
    if _doubts_everything(record):
        return True
    label = record.examination.attack
    if cell.goal.measure.bound == "exact":
        return False
    attacks = zip(attacks_of(spec, cell), (parts[0].attack for parts in cell.goal.of), strict=True)
    return any(
        searches(attack) and (attack.gradient_loss is not None if label is None else label == name)
        for (name, _), attack in attacks
    )


def _doubts_everything(record: Record) -> bool:
    """Whether a failure puts every number of the net in doubt."""
    examination = record.examination
    return examination.attack is None and examination.goal.check.doubts == "everything"


def _shifts(reading: Reading, record: Record) -> Shifts:
    """By how much a number may fall and rise because of a failure."""
    assert reading.row is not None, "a reading without a row is in no doubt"
    assert record.finding is not None, "a failure has a finding"
    value, (least, most) = _value(reading), _range(reading)
    opened = least - value, most - value
    bound = reading.cell.goal.measure.bound
    if record.examination.goal.check.doubts == "everything" or bound not in ("upper", "lower"):
        return opened
    survivors = record.finding.survivors
    if survivors is not None and (least, most) == SHARES:
        opened = -value * (1 - survivors), (1 - value) * (1 - survivors)
    return (opened[0], 0.0) if bound == "upper" else (0.0, opened[1])


def _value(reading: Reading) -> float:
    row = reading.row
    assert row is not None, "the reading is not computed"
    if row.interval is not None:
        return row.interval.value
    assert row.outcomes is not None, "a row without a number"
    values = row.outcomes.values.double().numpy()
    return float(np.mean(values) if row.level is None else np.quantile(values, row.level))


def _range(reading: Reading) -> tuple[float, float]:
    outcomes = None if reading.row is None else reading.row.outcomes
    return REALS if outcomes is None else outcomes.range


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / max(len(listed), 1)


def _clipped(group: Group, value: float) -> float:
    least, most = _range(group.present[0])
    return min(max(value, least), most)


# ─ statistics of several numbers ──────────────────────────────────────────────────────────────────

Moved = Mapping[Group, float]


def _choices(
    doubtful: Mapping[Group, Shifts], statistic: Callable[[Moved], Ends], face: Ends
) -> Iterator[Moved]:
    """Combinations of shifts among which the statistic has its extremes."""
    options = {group: [0.0, *filter(None, both)] for group, both in doubtful.items()}
    yield from _between(options)
    if np.prod([len(shifts) for shifts in options.values()], dtype=float) <= MAX_CORNERS:
        corners = itertools.product(*options.values())
        yield from (dict(zip(options, corner, strict=True)) for corner in corners)
        return
    # too many: statistics are monotone in each number, so each one's direction is tried alone
    down: dict[Group, float] = {}
    up: dict[Group, float] = {}
    for group, shifts in options.items():
        for shift in shifts[1:]:
            _, low, high = statistic({group: shift})
            if low < face[1]:
                down[group] = shift
            if high > face[2]:
                up[group] = shift
    yield from (down, up)
    yield {group: shifts[1] for group, shifts in options.items()}
    yield {group: shifts[-1] for group, shifts in options.items()}


def _between(options: Mapping[Group, Sequence[float]]) -> Iterator[Moved]:
    """Random combinations of shifts between 0 and the extremes."""
    generator = np.random.default_rng(0)
    for _ in range(BETWEEN):
        parts = generator.random(len(options))
        yield {
            group: part * shifts[int(generator.integers(1, len(shifts)))]
            for part, (group, shifts) in zip(parts, options.items(), strict=True)
        }


def _moved(estimator: Estimator, shifts: Moved) -> Estimator:
    """An estimator in whose estimates and intervals some numbers are shifted."""
    estimates, known = dict(estimator.estimates), dict(estimator.known)
    for group, shift in shifts.items():
        if not shift:
            continue
        own, (least, most) = estimator.estimate(group), _range(group.present[0])
        replicates = np.clip(own.replicates + shift, least, most)
        estimates[group] = Estimate(min(max(own.point + shift, least), most), replicates)
        if len(group.present) == 1:
            number = estimator.interval(group.present[0])
            value, low, high = (
                _clipped(group, end + shift) for end in (number.value, number.low, number.high)
            )
            known[group.present[0]] = Interval(value, low, high, number.n)
    return replace(estimator, estimates=estimates, known=known)
