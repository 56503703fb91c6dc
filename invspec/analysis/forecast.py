"""What tasks will take, from what like tasks took: for each device that the store knows."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from invspec.analysis import shipped
from invspec.analysis.history import UNREADABLE, Descriptions, History
from invspec.analysis.likeness import Closeness, Likeness, Work
from invspec.execution import provenance
from invspec.execution.store import Store
from invspec.tasks import Task, key, needs, verb

# Number of finished tasks with one likeness after which no more are read.
ENOUGH = 200


@dataclass(frozen=True)
class Seconds:
    """Lower quartile, median and upper quartile."""

    low: float
    median: float
    high: float

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.low + other.low, self.median + other.median, self.high + other.high)

    def __mul__(self, factor: float) -> Seconds:
        return Seconds(self.low * factor, self.median * factor, self.high * factor)


NONE = Seconds(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Basis:
    """Seconds per amount of work of some finished tasks, with their keys."""

    closeness: Closeness
    rate: Seconds
    keys: frozenset[str]


@dataclass(frozen=True)
class Estimate:
    """What some tasks take on a device.

    like counts the tasks by how close finished ones are; unlike is the number of tasks that are not
    in seconds, because no finished one is like them. basis is the number of finished tasks used.
    """

    device: str
    seconds: Seconds
    like: dict[Closeness, int]
    unlike: int
    basis: int


@dataclass
class Forecast:
    """What tasks will take. Build it with `forecast`."""

    works: dict[Task, Work]
    # by likeness and device: seconds per amount of work, by the key of the finished task
    rates: dict[Likeness, dict[str, dict[str, float]]]
    # whether the store has more tasks than were looked at
    is_cut: bool = False
    _bases: dict[tuple[str, tuple[Likeness, ...]], Basis | None] = field(
        default_factory=dict[tuple[str, tuple[Likeness, ...]], "Basis | None"]
    )

    @property
    def devices(self) -> list[str]:
        """The devices on which like tasks ran."""
        return sorted({device for by_device in self.rates.values() for device in by_device})

    def seconds(self, task: Task, device: str) -> Seconds | None:
        """What a task takes on a device; None if no finished task is like it."""
        basis = self._basis(task, device)
        return None if basis is None else basis.rate * self.works[task].amount

    def estimate(self, tasks: Iterable[Task], device: str) -> Estimate:
        """What some of the tasks take together."""
        total, like, unlike, keys = NONE, Counter[Closeness](), 0, set[str]()
        for task in tasks:
            if (basis := self._basis(task, device)) is None:
                unlike += 1
            else:
                total += basis.rate * self.works[task].amount
                like[basis.closeness] += 1
                keys |= basis.keys
        return Estimate(device, total, dict(like), unlike, len(keys))

    def wall_seconds(self, device: str, slots: int) -> float:
        """The least time that all tasks take on some slots: none is idle, and none waits for long.

        Tasks that no finished one is like take none.
        """
        ends: dict[Task, float] = {}
        total = 0.0
        # dependencies come first
        for task in self.works:
            own = (self.seconds(task, device) or NONE).median
            total += own
            ends[task] = own + max((ends.get(need, 0.0) for need in needs(task)), default=0.0)
        return max(total / slots, max(ends.values(), default=0.0))

    def _basis(self, task: Task, device: str) -> Basis | None:
        likenesses = self.works[task].likenesses
        place = (device, likenesses)
        if place not in self._bases:
            self._bases[place] = self._closest(likenesses, device)
        return self._bases[place]

    def _closest(self, likenesses: Sequence[Likeness], device: str) -> Basis | None:
        for likeness in likenesses:
            if rates := self.rates.get(likeness, {}).get(device):
                closeness: Closeness = likeness[0]  # pyright: ignore[reportAssignmentType]
                return Basis(closeness, _quartiles(list(rates.values())), frozenset(rates))
        return None


def forecast(
    to_do: Iterable[Task], finished: Sequence[Task], store: Store, with_shipped: bool = False
) -> Forecast:
    """Look for tasks like those to do, among those of the same plan and in the rest of the store.

    to_do has dependencies first. Artifacts whose time cannot be read are left out. with_shipped:
    unless a device of the store has done the like of all tasks, the times that ship with invspec
    are those of another device, shipped.DEVICE.
    """
    descriptions = Descriptions()
    works = {task: descriptions.work(task) for task in to_do}
    if not works:
        return Forecast({}, {})
    record = _Record({text for work in works.values() for text in work.likenesses})
    # sorted by key, which is a random order: the first ones are not all of one setting
    for task in sorted(finished, key=key):
        record.add(store.folder(task), descriptions.work(task))
    history = History(store, descriptions.counts)
    known = {key(task) for task in finished}
    for kind in dict.fromkeys(map(verb, works)):
        for folder, work in history.others(kind, known):
            record.add(folder, work)
    expected = Forecast(works, record.rates, history.is_cut)
    if with_shipped and all(expected.estimate(works, device).unlike for device in expected.devices):
        record.add_shipped()
        # what is estimated now would be remembered
        return Forecast(works, record.rates, history.is_cut)
    return expected


class _Record:
    """The rates of finished tasks that have a wanted likeness."""

    def __init__(self, wanted: Iterable[Likeness]) -> None:
        self.rates: dict[Likeness, dict[str, dict[str, float]]] = {
            likeness: defaultdict(dict[str, float]) for likeness in wanted
        }
        self._counts = Counter[Likeness]()

    def add(self, folder: Path, work: Work) -> None:
        """Read how long a finished task took, if that is of use."""
        wanted = [text for text in work.likenesses if text in self.rates]
        if all(self._counts[text] >= ENOUGH for text in wanted):
            return
        with suppress(*UNREADABLE):
            made = provenance.read(folder)
            seconds, device = float(made["seconds"]), str(made["device"])
            if math.isfinite(seconds):
                for text in wanted:
                    self.rates[text][device][folder.name] = seconds / work.amount
                self._counts.update(wanted)

    def add_shipped(self) -> None:
        """Add the times that ship with invspec."""
        for text, by_device in self.rates.items():
            if (rate := shipped.rate(text)) is not None:
                by_device[shipped.DEVICE][shipped.digest(text)] = rate


def _quartiles(values: Sequence[float]) -> Seconds:
    if len(values) == 1:
        return Seconds(values[0], values[0], values[0])
    return Seconds(*statistics.quantiles(values, n=4, method="inclusive"))
