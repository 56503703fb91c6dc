"""What the store holds of a plan's cells, and the numbers that cells alike but for their seed make together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

from numpy.typing import NDArray

from invspec.data import Row
from invspec.ops.stats import Estimate, Outcomes, Resampler
from invspec.perform.runtime import Artifact
from invspec.plan.cells import Cell, Plan
from invspec.spec.schema import Coords, Scalar
from invspec.tasks import Task, draw_name

RESAMPLER = Resampler()


AT_ONCE = 256  # readings whose replicates are computed together: what bounds memory


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
    """A row of a cell, with its outcomes each (N,) and index (N,) where they are kept; row None: not computed.

    What tells a measure's rows apart are coordinates too, named after the measure: {"distance.statistic": "median"}.
    """

    cell: Cell
    coords: Coords
    row: Row | None = None
    each: NDArray[Any] | None = None
    index: NDArray[Any] | None = None
    number: int = 0  # of the row in its score


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
    kept = len(artifact.rows) == 1 and "each" in artifact.tensors
    each, index = (artifact.tensors[name].numpy() if kept else None for name in ("each", "index"))
    for position, row in enumerate(artifact.rows):
        own = {f"{cell.coords['measure']}.{name}": value for name, value in row.where.items()}
        yield Reading(cell, {**cell.coords, **own}, row, each, index, position)


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
    """Estimates of groups, computed many at once and remembered, all paired with one another."""

    known: dict[Group, Estimate] = field(default_factory=dict[Group, Estimate])

    def estimate(self, group: Group) -> Estimate:
        """The mean over the seeds that are there, with its replicates."""
        self.prepare([group])
        return self.known[group]

    def prepare(self, wanted: Iterable[Group]) -> None:
        """Compute those that are not known yet."""
        new = [
            group for group in dict.fromkeys(wanted) if group.present and group not in self.known
        ]
        kept = [
            group for group in new if all(reading.each is not None for reading in group.present)
        ]
        for some in _blocks(kept):
            self.known.update(
                zip(some, RESAMPLER.all_means([_outcomes(group) for group in some]), strict=True)
            )
        for group in new:
            if group not in self.known:
                parts = [_unpaired(reading, _name(group.present[0])) for reading in group.present]
                self.known[group] = RESAMPLER.over_seeds(
                    parts, [_seed(reading) for reading in group.present]
                )

    def numbers(self, wanted: Sequence[Group]) -> dict[Group, Number]:
        """A number for each group of which anything has been computed. One seed keeps the interval of its row."""
        self.prepare(group for group in wanted if len(group.present) > 1)
        return {group: self._number(group) for group in wanted if group.present}

    def _number(self, group: Group) -> Number:
        rows = [reading.row for reading in group.present if reading.row is not None]
        n, asked = min(row.n for row in rows), len(group.readings)
        if len(rows) == 1:
            return Number(rows[0].value, rows[0].low, rows[0].high, n, 1, asked)
        found = self.known[group]
        return Number(found.point, *found.interval(), n, len(rows), asked)


def _blocks(wanted: Sequence[Group]) -> Iterator[list[Group]]:
    some: list[Group] = []
    for group in wanted:
        some.append(group)
        if sum(len(member.present) for member in some) >= AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _seed(reading: Reading) -> int:
    return int(reading.coords["seed"])


def _outcomes(group: Group) -> Outcomes:
    each = [reading.each for reading in group.present if reading.each is not None]
    index = [reading.index for reading in group.present if reading.index is not None]
    return Outcomes(
        each, index, [_seed(reading) for reading in group.present], _name(group.present[0])
    )


def _name(reading: Reading) -> int:
    """A whole number of its own for a reading, the same for every seed."""
    return int(sha256(draw_name(reading.cell.goal).encode()).hexdigest()[:15], 16)


def _unpaired(reading: Reading, name: int) -> Estimate:
    """An estimate from a row alone. All seeds of a group have its name: they were measured on the same examples."""
    assert reading.row is not None, "an estimate of what is missing"
    row = reading.row
    return RESAMPLER.unpaired(row.value, row.low, row.high, [name, reading.number])
