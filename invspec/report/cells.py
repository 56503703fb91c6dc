"""What the store holds of a plan's cells, and the numbers that cells alike but for their seed make together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from invspec.data import Row
from invspec.errors import SpecError, suggest
from invspec.kinds import Number as WrittenNumber
from invspec.ops.stats import Estimate, Outcomes, Resampler
from invspec.plan import Cell, Plan
from invspec.spec import Coords, Scalar
from invspec.tasks import Artifact, Task, key

RESAMPLER = Resampler()
AT_ONCE = 256  # readings whose replicates are computed together: what bounds memory

Path = tuple[str | int, ...]  # where something stands in the spec


class Store(Protocol):
    """What a report asks of a store."""

    def __contains__(self, task: Task, /) -> bool: ...

    def load(self, task: Task) -> Artifact:
        """What a finished task left behind."""
        ...

    def made(self, task: Task) -> dict[str, Any]:
        """How a finished task came about: seconds, device, torch, invspec, commit, finished."""
        ...


# ─ coordinates ────────────────────────────────────────────────────────────────────────────────────────────────────────

_number = TypeAdapter[float](WrittenNumber)


@cache
def number(value: Scalar | None) -> float | None:
    """A coordinate as a number, where it is one or is written as one (8/255); a bool is none."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return _number.validate_python(value)
    except ValidationError:
        return None


def same(one: Scalar, other: Scalar) -> bool:
    """Whether two coordinates are equal: as numbers where both are."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    first, second = number(one), number(other)
    if first is None or second is None:
        return one == other
    return bool(np.isclose(first, second, rtol=1e-9, atol=0))


def matches(coords: Mapping[str, Scalar], at: Mapping[str, Scalar]) -> bool:
    """Whether a cell is at a place: it has each of these coordinates, and they are equal."""
    return all(name in coords and same(coords[name], value) for name, value in at.items())


def varying(cells: Iterable[Mapping[str, Scalar]], but: Collection[str] = ()) -> dict[str, list[Scalar | None]]:
    """The coordinates in which cells differ, and their values; None where a cell has no such coordinate."""
    listed = list(cells)
    names = dict.fromkeys(name for coords in listed for name in coords)
    values = {name: list(dict.fromkeys(coords.get(name) for coords in listed)) for name in names if name not in but}
    return {name: found for name, found in values.items() if len(found) > 1}


def shown(value: Scalar | None) -> str:
    """A coordinate as text: 60, 0.1, 8/255, gcnn; nothing for one that a cell does not have."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    text = f"{value:.6g}"
    levels = round(value * 255)
    if float(text) != value and levels and np.isclose(value * 255, levels, rtol=1e-9):
        return f"{levels}/255"
    return text


def listing(values: Mapping[str, Sequence[Scalar | None]]) -> str:
    """Coordinates with their values, for a message."""
    return "; ".join(
        f"{name} ({', '.join(shown(value) or 'none' for value in found)})" for name, found in values.items()
    )


def check_measure(planned: Plan, measure: str, path: Path) -> None:
    """Raises SpecError where no cell is of this measure."""
    known = planned.coordinates()["measure"]
    if measure not in known:
        raise SpecError(
            f"no measure {measure!r} is measured in this spec", hint=suggest(measure, map(str, known)), path=path
        )


def check_name(name: str, known: Iterable[str], path: Path) -> None:
    """Raises SpecError where a coordinate is none of the known ones."""
    if name not in (names := list(known)):
        raise SpecError(f"no coordinate {name!r}", hint=suggest(name, names, "coordinates"), path=path)


def check_at(cells: Sequence[Mapping[str, Scalar]], at: Mapping[str, Scalar], path: Path) -> None:
    """Raises SpecError where a coordinate or a value is unknown, or where no cell has them all."""
    names = dict.fromkeys(name for coords in cells for name in coords)
    for name, wanted in at.items():
        check_name(name, names, (*path, name))
        values = list(dict.fromkeys(coords[name] for coords in cells if name in coords))
        if not any(same(value, wanted) for value in values):
            hint = f"{name} is {', '.join(map(shown, values))}"
            raise SpecError(f"nothing is measured at {name} {shown(wanted)}", hint=hint, path=(*path, name))
    if not any(matches(coords, at) for coords in cells):
        raise SpecError("no cell has all of these coordinates", hint="each of them exists, but not together", path=path)


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
        Group({name: value for name, value in members[0].coords.items() if name != "seed"}, tuple(members))
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
        new = [group for group in dict.fromkeys(wanted) if group.present and group not in self.known]
        kept = [group for group in new if all(reading.each is not None for reading in group.present)]
        for some in _blocks(kept):
            self.known.update(zip(some, RESAMPLER.all_means([_outcomes(group) for group in some]), strict=True))
        for group in new:
            if group not in self.known:
                parts = [_unpaired(reading, _name(group.present[0])) for reading in group.present]
                self.known[group] = RESAMPLER.over_seeds(parts, [_seed(reading) for reading in group.present])

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
    return Outcomes(each, index, [_seed(reading) for reading in group.present], _name(group.present[0]))


def _name(reading: Reading) -> int:
    """A whole number of its own for a reading."""
    return int(key(reading.cell.goal)[:15], 16)


def _unpaired(reading: Reading, name: int) -> Estimate:
    """An estimate from a row alone. All seeds of a group have its name: they were measured on the same examples."""
    assert reading.row is not None, "an estimate of what is missing"
    row = reading.row
    return RESAMPLER.unpaired(row.value, row.low, row.high, [name, reading.number])
