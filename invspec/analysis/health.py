"""Which numbers are in doubt because a check of their net or attack failed, and by how much.

The number of an attack is a bound: a stronger attack may lower robust accuracy, and never raises
it. Where a check that gates fails, the interval of a number becomes the hull of its own and of that
at its worst: what a stronger attack left or, if none was tried, the end of the measure's range.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from invspec.analysis.doubts import (
    Record,
    Shifts,
    concerns,
    concerns_images,
    doubts_everything,
    shifts_of,
    sources,
)
from invspec.analysis.estimator import Estimator, Summary
from invspec.analysis.readings import Artifacts, Group, Reading
from invspec.data import Interval
from invspec.plan.cells import Examination, Plan
from invspec.spec.resolved import Spec
from invspec.tasks import Train


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
            *(record for record in self._of(cell.goal.train) if concerns(record, cell)),
            *(record for record in self._of(oracle) if doubts_everything(record)),
            *(record for record in self._of(cell.goal.train.features) if doubts_everything(record)),
            *(
                record
                for net in sources(cell)
                for record in self._of(net)
                if concerns_images(record, cell)
            ),
        ]

    def _of(self, net: Train | None) -> Sequence[Record]:
        return () if net is None else self.failures.get(net, ())

    def shifts(self, group: Group) -> Shifts:
        """By how much the mean over seeds may fall and rise."""
        extremes = [self._extremes(reading) for reading in group.present]
        return _mean(low for low, _ in extremes), _mean(high for _, high in extremes)

    def _extremes(self, reading: Reading) -> Shifts:
        shifts = [(0.0, 0.0), *(shifts_of(reading, record) for record in self.of_reading(reading))]
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


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / max(len(listed), 1)


def clipped(group: Group, value: float) -> float:
    """A value within the range of a group's numbers."""
    least, most = group.present[0].range
    return min(max(value, least), most)
