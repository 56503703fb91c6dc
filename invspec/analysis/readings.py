"""What the store holds of a plan's cells, and the numbers that cells alike but for their seed make together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

from invspec.analysis.estimates import Estimate
from invspec.analysis.intervals import AT_ONCE, RESAMPLER, interval, intervals
from invspec.analysis.resampling import Repeats
from invspec.data import Interval, Outcomes, Row
from invspec.perform.runtime import Artifact
from invspec.plan.cells import Cell, Plan
from invspec.spec.schema import Coords, Scalar
from invspec.tasks import Task, draw_name


class Store(Protocol):
    """What a report asks of a store."""

    def __contains__(self, task: Task, /) -> bool: ...

    def load(self, task: Task) -> Artifact:
        """What a finished task left behind."""
        ...

    def made(self, task: Task) -> dict[str, Any]:
        """How a finished task came about: seconds, device, torch, invspec, commit, finished."""
        ...


# ─ what was measured ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Reading:
    """A row of a cell, or None where the cell is not computed.

    What tells the rows of a measure apart are coordinates too, named after the measure:
    {"final_distance.quantile": 0.5}.
    """

    cell: Cell
    coords: Coords
    row: Row | None = None


def collect(planned: Plan, store: Store) -> list[Reading]:
    """Every row of every cell, in the order of the plan. A cell that is not computed has those of its measure."""
    found = [(cell, list(_readings(cell, store))) for cell in planned.cells]
    rows: dict[Scalar, dict[str, Coords]] = {}
    for cell, readings in found:
        for reading in readings:
            own = {name: value for name, value in reading.coords.items() if name not in cell.coords}
            rows.setdefault(cell.coords["measure"], {})[repr(sorted(own.items()))] = own
    return [
        reading
        for cell, readings in found
        for reading in readings or _lacking(cell, rows.get(cell.coords["measure"], {}).values())
    ]


def _readings(cell: Cell, store: Store) -> Iterator[Reading]:
    if cell.goal not in store:
        return
    artifact = store.load(cell.goal)
    assert artifact.rows is not None, "a score without rows"
    for row in artifact.rows:
        own = {f"{cell.coords['measure']}.{name}": value for name, value in row.where.items()}
        yield Reading(cell, {**cell.coords, **own}, row)


def _lacking(cell: Cell, rows: Iterable[Coords]) -> Iterator[Reading]:
    for own in list(rows) or [{}]:
        yield Reading(cell, {**cell.coords, **own})


# ─ numbers ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Number:
    """A mean over seeds with its 95 % interval, of at least n examples a seed; of `seeds` seeds, `asked` were asked."""

    value: float
    low: float
    high: float
    n: int
    seeds: int
    asked: int

    @property
    def half(self) -> float:
        """The larger side of the interval."""
        return max(self.high - self.value, self.value - self.low)

    @property
    def partial(self) -> bool:
        """Whether some seeds are still missing."""
        return self.seeds < self.asked


@dataclass(frozen=True, eq=False)
class Group:
    """Readings that differ in nothing but their seed. coords: all the others."""

    coords: Coords
    readings: tuple[Reading, ...]

    @property
    def present(self) -> tuple[Reading, ...]:
        """Those that have been computed."""
        return tuple(reading for reading in self.readings if reading.row is not None)

    @property
    def missing(self) -> int:
        """How many have not."""
        return len(self.readings) - len(self.present)


def groups(readings: Iterable[Reading]) -> list[Group]:
    """Readings put together by all their coordinates but the seed, in their order."""
    found: dict[tuple[tuple[str, Scalar], ...], list[Reading]] = {}
    for reading in readings:
        coords = {name: value for name, value in reading.coords.items() if name != "seed"}
        found.setdefault(tuple(sorted(coords.items())), []).append(reading)
    return [
        Group(
            {name: value for name, value in members[0].coords.items() if name != "seed"},
            tuple(members),
        )
        for members in found.values()
    ]


@dataclass(frozen=True)
class Estimator:
    """Numbers of groups and readings, computed many at once and remembered.

    Estimates of groups are paired with one another.
    """

    estimates: dict[Group, Estimate] = field(default_factory=dict[Group, Estimate])
    known: dict[Reading, Interval] = field(default_factory=dict[Reading, Interval])

    def estimate(self, group: Group) -> Estimate:
        """The mean over the seeds that have been computed, with its replicates."""
        self.prepare([group])
        return self.estimates[group]

    def prepare(self, wanted: Iterable[Group]) -> None:
        """Compute the estimates that are not known yet."""
        new = [
            group
            for group in dict.fromkeys(wanted)
            if group.present and group not in self.estimates
        ]
        means = [group for group in new if _has_outcomes(group) and _level(group) is None]
        for block in _blocks(means):
            numbers = [_repeats(group) for group in block]
            self.estimates.update(zip(block, RESAMPLER.all_means(numbers), strict=True))
        for group in new:
            if group not in self.estimates:
                self.estimates[group] = (
                    RESAMPLER.quantile(_repeats(group))
                    if _has_outcomes(group)
                    else _unpaired(group)
                )

    def interval(self, reading: Reading) -> Interval:
        """The number of one computed reading with its interval."""
        return self.intervals([reading])[reading]

    def intervals(self, wanted: Iterable[Reading]) -> dict[Reading, Interval]:
        """The numbers of those readings that have been computed, with their intervals."""
        rows = {reading: reading.row for reading in wanted if reading.row is not None}
        new = {reading: row for reading, row in rows.items() if reading not in self.known}
        self.known.update(zip(new, intervals(list(new.values())), strict=True))
        return {reading: self.known[reading] for reading in rows}

    def numbers(self, wanted: Sequence[Group]) -> dict[Group, Number]:
        """A number for each group of which anything is computed; one seed has its own interval."""
        self.prepare(group for group in wanted if len(group.present) > 1)
        single = (group.present for group in wanted if len(group.present) == 1)
        self.intervals(reading for (reading,) in single)
        return {group: self._number(group) for group in wanted if group.present}

    def _number(self, group: Group) -> Number:
        seeds, expected = len(group.present), len(group.readings)
        if seeds == 1:
            found = self.interval(group.present[0])
            return Number(found.value, found.low, found.high, found.n, 1, expected)
        estimate = self.estimates[group]
        n = min(_units(reading) for reading in group.present)
        return Number(estimate.point, *estimate.interval(), n, seeds, expected)


def _blocks(wanted: Sequence[Group]) -> Iterator[list[Group]]:
    block: list[Group] = []
    for group in wanted:
        block.append(group)
        if sum(len(member.present) for member in block) >= AT_ONCE:
            yield block
            block = []
    if block:
        yield block


def _seeds(group: Group) -> list[int]:
    return [int(reading.coords["seed"]) for reading in group.present]


def _has_outcomes(group: Group) -> bool:
    rows = [reading.row for reading in group.present]
    return all(row is not None and row.outcomes is not None for row in rows)


def _level(group: Group) -> float | None:
    row = group.present[0].row
    return None if row is None else row.level


def _outcomes(reading: Reading) -> Outcomes:
    assert reading.row is not None, "a number that is not computed"
    assert reading.row.outcomes is not None, "a row without outcomes"
    return reading.row.outcomes


def _units(reading: Reading) -> int:
    """How many independent units a number is from."""
    assert reading.row is not None, "a number of nothing computed"
    own = reading.row.interval
    return own.n if own is not None else len(_outcomes(reading).index.unique())


def _repeats(group: Group) -> Repeats:
    outcomes = [_outcomes(reading) for reading in group.present]
    return Repeats(
        [each.values for each in outcomes],
        [each.index for each in outcomes],
        _seeds(group),
        _name(group.present[0]),
        outcomes[0].range,
        _level(group),
    )


def _name(reading: Reading) -> int:
    """A whole number that belongs to this number alone, and is the same for every seed."""
    where = {} if reading.row is None else reading.row.where
    text = json.dumps([draw_name(reading.cell.goal), sorted(where.items())])
    return int(sha256(text.encode()).hexdigest()[:15], 16)


def _unpaired(group: Group) -> Estimate:
    """An estimate from intervals alone; seeds measured the same examples, so they share draws."""
    name = _name(group.present[0])
    rows = [reading.row for reading in group.present if reading.row is not None]
    found = [interval(row) for row in rows]
    parts = [RESAMPLER.unpaired(one.value, one.low, one.high, [name]) for one in found]
    return RESAMPLER.over_seeds(parts, _seeds(group))
