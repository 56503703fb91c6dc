"""Which numbers are in doubt because a check of their net or attack failed, and by how much.

The number of an attack is a bound: a stronger attack may lower robust accuracy, and never raises
it. Where a check that gates fails, the interval of a number becomes the hull of its own and of that
at its worst: what a stronger attack left or, if none was tried, the end of the measure's range.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from invspec.analysis.estimator import Estimator, Summary
from invspec.analysis.readings import Artifacts, Group, Reading
from invspec.data import Finding, Interval
from invspec.ops.types import REALS, SHARES
from invspec.plan.cells import Cell, Examination, Plan
from invspec.plan.examinations import searches
from invspec.spec.resolved import Spec
from invspec.tasks import Score, Train

# by how much numbers may be off: the largest shift down and the largest shift up
Shifts = tuple[float, float]


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

    @property
    def names_datasets(self) -> bool:
        """Whether the spec has several data sets, so that names of nets say which."""
        return len(self.spec.entries["datasets"]) > 1

    @cached_property
    def failures(self) -> Mapping[Train, Sequence[Record]]:
        """The failed examinations that gate, by net."""
        failures: dict[Train, list[Record]] = {}
        for record in self.records:
            if record.status == "fails":
                failures.setdefault(record.examination.goal.train, []).append(record)
        return failures

    @cached_property
    def nets(self) -> dict[Train, str]:
        """Whether each net passes, fails or is not checked in full."""
        statuses: dict[Train, set[str]] = {}
        for record in self.records:
            if record.gates:
                statuses.setdefault(record.examination.goal.train, set()).add(record.status)
        rank = ("fails", "not checked")
        return {
            net: next((status for status in rank if status in seen), "passes")
            for net, seen in statuses.items()
        }

    def doubts(self, group: Group) -> tuple[Record, ...]:
        """The failed examinations that put some number of a group in doubt."""
        if group not in self._known:
            failures = (record for reading in group.present for record in self.of_reading(reading))
            self._known[group] = tuple(dict.fromkeys(failures))
        return self._known[group]

    def reasons(self, groups: Iterable[Group]) -> tuple[str, ...]:
        """Why numbers are in doubt, each reason once."""
        doubts = (record for group in groups for record in self.doubts(group))
        return tuple(dict.fromkeys(record.reason for record in doubts))

    def of_reading(self, reading: Reading) -> list[Record]:
        """The failed examinations that put a number in doubt."""
        cell = reading.cell
        oracle = cell.goal.oracle
        return [
            *(record for record in self._of(cell.goal.train) if _concerns(record, cell)),
            *(record for record in self._of(oracle) if _doubts_everything(record)),
            *(record for net in _sources(cell) for record in self._of(net) if _made(record, cell)),
        ]

    def _of(self, net: Train | None) -> Sequence[Record]:
        return () if net is None else self.failures.get(net, ())

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
        low, high = clipped(group, summary.low + down), clipped(group, summary.high + up)
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
        low, high = clipped(group, number.low + down), clipped(group, number.high + up)
        return replace(number, low=low, high=high)


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


def _concerns(record: Record, cell: Cell) -> bool:
    """Whether a failed examination of a cell's net puts the cell's number in doubt."""
    if _doubts_everything(record):
        return True
    if cell.goal.measure.bound == "exact":
        return False
    return any(_is_of(record, place, cell) for place in range(len(cell.attacks)))


def _is_of(record: Record, place: int, cell: Cell) -> bool:
    """Whether a failed examination of a cell's net doubts one of the cell's attacks."""
    part, label = cell.goal.of[place][0], record.examination.attack
    if not searches(part.attack):
        return False
    if label is None:
        return part.attack.gradient_loss is not None and part.source is None
    return label == cell.attacks[place].label and not _is_answered(record, place, cell.goal)


def _is_answered(record: Record, place: int, goal: Score) -> bool:
    """Whether another attack of a worst case does what the failed check tried."""
    start = place - place % goal.worst_of
    beside = (parts[0] for parts in goal.of[start : start + goal.worst_of])
    check, attack = record.examination.goal.check, goal.of[place][0].attack
    return any(
        part.attack != attack and part.source is None and check.is_answered_by(part.attack, attack)
        for part in beside
    )


def _sources(cell: Cell) -> list[Train]:
    """The nets on which transfer attacks of a cell made their images."""
    sources = (parts[0].source for parts in cell.goal.of)
    return list(dict.fromkeys(source.train for source in sources if source is not None))


def _made(record: Record, cell: Cell) -> bool:
    """Whether a failed examination of a source doubts the images that were made on it."""
    examination = record.examination
    if cell.goal.measure.bound == "exact":
        return False
    return any(
        parts[0].source is not None
        and parts[0].source.train == examination.goal.train
        and searches(parts[0].attack)
        and examination.attack in (None, attacked.label)
        and (examination.attack is not None or parts[0].attack.gradient_loss is not None)
        for attacked, parts in zip(cell.attacks, cell.goal.of, strict=True)
    )


def _doubts_everything(record: Record) -> bool:
    """Whether a failure puts every number of the net in doubt."""
    examination = record.examination
    return examination.attack is None and examination.goal.check.doubts == "everything"


def _shifts(reading: Reading, record: Record) -> Shifts:
    """By how much a number may fall and rise because of a failure."""
    assert reading.row is not None, "a reading without a row is in no doubt"
    assert record.finding is not None, "a failure has a finding"
    value, (least, most) = _value(reading), range_of(reading)
    # infinite numbers have no further to go
    opened = 0.0 if value == least else least - value, 0.0 if value == most else most - value
    goal, examination = reading.cell.goal, record.examination
    bound, is_here = goal.measure.bound, examination.goal.train in (goal.train, goal.oracle)
    # a source that computes nonsense only makes what was found there weak
    opens_both = examination.goal.check.doubts == "everything" and (is_here or examination.attack)
    if opens_both or bound not in ("upper", "lower"):
        return opened
    survivors = record.finding.survivors if is_here else None
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


def range_of(reading: Reading) -> tuple[float, float]:
    """Least and largest value of a reading's number."""
    outcomes = None if reading.row is None else reading.row.outcomes
    return REALS if outcomes is None else outcomes.range


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / max(len(listed), 1)


def clipped(group: Group, value: float) -> float:
    """A value within the range of a group's numbers."""
    least, most = range_of(group.present[0])
    return min(max(value, least), most)
