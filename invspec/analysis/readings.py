"""Readings: the rows that the store holds for the cells of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from invspec.analysis.quantiles import quantile
from invspec.data import Outcomes, Row
from invspec.ops.types import REALS, Range
from invspec.perform.runtime import Artifact
from invspec.plan.cells import Cell, Plan
from invspec.spec.schema import Coords, Scalar
from invspec.tasks import Task


class Artifacts(Protocol):
    """The part of a store that a report uses."""

    def __contains__(self, task: Task, /) -> bool: ...

    def load(self, task: Task) -> Artifact:
        """The artifact of a finished task."""
        ...

    def made(self, task: Task) -> dict[str, Any]:
        """Facts about a finished task: seconds, device, torch, invspec, commit, finished."""
        ...


@dataclass(frozen=True, eq=False)
class Reading:
    """A row of a cell; row is None if the cell is not computed.

    Its coordinates are the cell's, and those that distinguish the rows of the measure, prefixed
    with the measure's label: {"final_distance.quantile": 0.5}.
    """

    cell: Cell
    coords: Coords
    row: Row | None = None

    @property
    def computed(self) -> Row:
        """The row of a computed reading."""
        assert self.row is not None, "the reading is not computed"
        return self.row

    @property
    def outcomes(self) -> Outcomes:
        """The outcomes of a computed reading that has some."""
        assert self.computed.outcomes is not None, "the row has no outcomes"
        return self.computed.outcomes

    @property
    def value(self) -> float:
        """The number of a computed reading."""
        row = self.computed
        if row.interval is not None:
            return row.interval.value
        values = self.outcomes.values.double()
        return float(values.mean()) if row.level is None else quantile(values.numpy(), row.level)

    @property
    def range(self) -> Range:
        """The least and largest value of its number, as far as its row says."""
        return REALS if self.row is None or self.row.outcomes is None else self.row.outcomes.range

    @property
    def unit_count(self) -> int:
        """The number of independent units (examples or sources) behind a computed reading."""
        own = self.computed.interval
        return own.n if own is not None else len(self.outcomes.index.unique())


@dataclass(frozen=True, eq=False)
class Group:
    """Readings that differ only in their seed; coords are the coordinates that they share."""

    coords: Coords
    readings: tuple[Reading, ...]

    @property
    def present(self) -> tuple[Reading, ...]:
        """The readings that are computed."""
        return tuple(reading for reading in self.readings if reading.row is not None)

    @property
    def missing(self) -> int:
        """The number of readings that are not computed."""
        return len(self.readings) - len(self.present)


def collect(plan: Plan, store: Artifacts) -> list[Reading]:
    """All rows of all cells, in the order of the plan.

    A cell that is not computed has a reading for each row that other cells of its measure have.
    """
    by_cell = [(cell, list(_computed(cell, store))) for cell in plan.cells]
    row_coords: dict[Scalar, dict[str, Coords]] = {}
    for cell, readings in by_cell:
        for reading in readings:
            own = {name: value for name, value in reading.coords.items() if name not in cell.coords}
            row_coords.setdefault(cell.coords["measure"], {})[repr(sorted(own.items()))] = own
    return [
        reading
        for cell, readings in by_cell
        for reading in readings
        or _missing(cell, row_coords.get(cell.coords["measure"], {}).values())
    ]


def _computed(cell: Cell, store: Artifacts) -> Iterator[Reading]:
    if cell.goal not in store:
        return
    artifact = store.load(cell.goal)
    assert artifact.rows is not None, "a score without rows"
    for row in artifact.rows:
        own = {f"{cell.coords['measure']}.{name}": value for name, value in row.where.items()}
        yield Reading(cell, {**cell.coords, **own}, row)


def _missing(cell: Cell, row_coords: Iterable[Coords]) -> Iterator[Reading]:
    for own in list(row_coords) or [{}]:
        yield Reading(cell, {**cell.coords, **own})


def groups(readings: Iterable[Reading]) -> list[Group]:
    """Readings grouped by all their coordinates but the seed, in their order."""
    members: dict[tuple[tuple[str, Scalar], ...], list[Reading]] = {}
    for reading in readings:
        members.setdefault(tuple(sorted(_without_seed(reading).items())), []).append(reading)
    return [Group(_without_seed(group[0]), tuple(group)) for group in members.values()]


def _without_seed(reading: Reading) -> Coords:
    return {name: value for name, value in reading.coords.items() if name != "seed"}
