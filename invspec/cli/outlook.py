"""How long a run still takes, from what like tasks took before it and in it."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from invspec.analysis.forecast import Forecast, forecast
from invspec.analysis.history import UNREADABLE, Descriptions
from invspec.analysis.likeness import Likeness, Work
from invspec.errors import InvspecError
from invspec.execution.store import Store
from invspec.tasks import Task, Train

# the share of the trainings to do whose time may be unknown where a time is given at all; of all
# tasks where no training is left, as trainings take most of the time
MOST_UNKNOWN = 0.5
# the share of a running task after which its pace says how long it takes
LEAST_SHARE = 0.05
# tasks of a run that are most like another one: the time of the latest counts
LATEST = 20


class Outlook:
    """The tasks of a run that are still to do, and what they are expected to take.

    A task takes as long for its amount of work as those of this run that are most like it; before
    there are some, as those of the store or, on processors, as those whose times ship with invspec;
    before there is any of these, as long as one that runs would take at its pace.
    """

    def __init__(
        self,
        to_do: Iterable[Task],
        finished: Sequence[Task],
        store: Store | None = None,
        with_shipped: bool = False,
    ) -> None:
        self.to_do: dict[Task, float] = dict.fromkeys(to_do, 0.0)
        # with the time at which its progress was first heard of, and how much was done by then
        self.running: dict[Task, tuple[float, float] | None] = {}
        self.slots = 1
        self._descriptions = Descriptions()
        # each task is described once: a large run asks for the time that is left again and again
        self._works: dict[Task, Work | None] = {}
        self._rates: dict[Likeness, list[float]] = defaultdict(list)
        self._before: Forecast | None = None
        self._device = ""
        if store is not None and self.to_do:
            # a large store takes seconds to read, in which workers start
            known = (tuple(self.to_do), finished, store, with_shipped)
            threading.Thread(target=self._look_back, args=known, daemon=True).start()

    def _look_back(
        self, to_do: Sequence[Task], finished: Sequence[Task], store: Store, with_shipped: bool
    ) -> None:
        with suppress(InvspecError, *UNREADABLE):
            before = forecast(to_do, finished, store, with_shipped)
            known = [(before.estimate(to_do, device).unlike, device) for device in before.devices]
            if known:
                self._device = min(known)[1]
                self._before = before

    def add(self, task: Task) -> None:
        """Another task is to be computed."""
        self.to_do[task] = 0.0

    def start(self, task: Task) -> None:
        """A worker has got a task."""
        self.running[task] = None
        self.slots = max(self.slots, len(self.running))

    def advance(self, task: Task, share: float) -> None:
        """A share of a task is done."""
        if task in self.to_do:
            self.to_do[task] = share
        if task in self.running and self.running[task] is None:
            self.running[task] = time.monotonic(), share

    def finish(self, task: Task, seconds: float | None = None) -> None:
        """A task is done, after some seconds, or is not to be done any more."""
        self.to_do.pop(task, None)
        self.running.pop(task, None)
        if seconds is not None:
            if (work := self._work(task)) is not None:
                for likeness in work.likenesses:
                    self._rates[likeness].append(seconds / work.amount)
            self._works.pop(task, None)

    def stop(self, task: Task) -> None:
        """A worker has lost a task, which is still to do."""
        self.running.pop(task, None)
        self.advance(task, 0.0)

    @property
    def left(self) -> str:
        """The time that is left, in words; empty if too little is known."""
        known: dict[Task, float] = {}
        unknown: list[Task] = []
        rates, paces = dict[Likeness, float](), self._paces()
        # events of the run change it while another thread asks
        for task, share in list(self.to_do.items()):
            seconds = self._seconds(task, rates, paces)
            if seconds is None:
                unknown.append(task)
            else:
                known[task] = seconds * (1 - share)
        if _is_mostly_unknown(known, unknown):
            return ""
        rest = max(sum(known.values()) / self.slots, *known.values())
        return f"{'at least' if unknown else 'about'} {_rounded(rest)} left"

    def _work(self, task: Task) -> Work | None:
        """What a task does; None if its data cannot be counted."""
        if task not in self._works:
            try:
                self._works[task] = self._descriptions.work(task)
            except InvspecError:
                self._works[task] = None
        return self._works[task]

    def _paces(self) -> dict[Likeness, float]:
        """Seconds per amount of work of the tasks that run, by their progress so far."""
        now, paces = time.monotonic(), dict[Likeness, list[float]]()
        for task, first in list(self.running.items()):
            work = self._work(task)
            if first is None or work is None:
                continue
            since, before = first
            share = self.to_do.get(task, before) - before
            if share >= LEAST_SHARE:
                for likeness in work.likenesses:
                    paces.setdefault(likeness, []).append((now - since) / share / work.amount)
        return {likeness: statistics.median(own) for likeness, own in paces.items()}

    def _seconds(
        self, task: Task, rates: dict[Likeness, float], paces: Mapping[Likeness, float]
    ) -> float | None:
        """What a task takes; None if none is like it. rates are those of this run known so far."""
        if (work := self._work(task)) is None:
            return None
        for likeness in work.likenesses:
            if own := self._rates.get(likeness):
                if likeness not in rates:
                    rates[likeness] = statistics.median(own[-LATEST:])
                return rates[likeness] * work.amount
        if self._before is not None and task in self._before.works:
            before = self._before.seconds(task, self._device)
            if before is not None:
                return before.median
        known = [paces[likeness] for likeness in work.likenesses if likeness in paces]
        return known[0] * work.amount if known else None


def _is_mostly_unknown(known: Collection[Task], unknown: Collection[Task]) -> bool:
    """Whether the times that are known say too little of those that are not."""
    trainings = [[task for task in tasks if isinstance(task, Train)] for tasks in (known, unknown)]
    count, missing = map(len, trainings if any(trainings) else (known, unknown))
    return not known or missing > MOST_UNKNOWN * (count + missing)


def _rounded(seconds: float) -> str:
    """A time that is only estimated: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60 // 10 * 10} min"
