"""Progress of a run: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import platform
import threading
import time
from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
)
from rich.table import Column

from invspec.cli.outlook import Outlook
from invspec.errors import counted
from invspec.execution import events
from invspec.execution.store import Store
from invspec.report.format import duration
from invspec.tasks import Examine, Task, Train, label

# seconds without output after which a run prints how far it is
QUIET = 30
# seconds between two estimates of the time that is left
LOOK = 2


class Lines:
    """Progress without a terminal: a line per training, per problem and per half-minute.

    names holds the names of tasks in the spec, store what like tasks took before. with_shipped: the
    run is on processors, so that the times that ship with invspec say something of it.
    """

    # whether a line says from time to time how far the run is
    beats = True

    def __init__(
        self,
        console: Console,
        names: Mapping[Task, str] | None = None,
        store: Store | None = None,
        with_shipped: bool = False,
    ) -> None:
        self.console, self.names, self.store = console, names or {}, store
        self.with_shipped = with_shipped
        self.outlook = Outlook((), (), None)
        # the number of tasks to do and done, and the latest share of each running task
        self.to_do = self.done = 0
        self.shares: dict[Task, float] = {}
        self.counts: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()  # those of counts that are about examinations
        self.reasons: set[str] = set()
        # workers on this machine come and go without a line
        self.host, self.remote = platform.node(), set[str]()
        self.start = self._printed = time.monotonic()
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Lines:
        if self.beats:
            self._heart.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        if self.beats:
            # no line may come after what is printed next
            self._heart.join(timeout=1)

    def _beat(self) -> None:
        """Print how far the run is whenever nothing was printed for a while."""
        while not self._ended.wait(self._printed + QUIET - time.monotonic()):
            if time.monotonic() - self._printed >= QUIET and self.to_do:
                self._printed = time.monotonic()
                self.console.print(self.status(), markup=False, soft_wrap=True)

    def status(self) -> str:
        """How far the run is: 388 of 1,704 tasks (23 %), 22 min 18 s so far, about 70 min left."""
        share = f" ({100 * self.done // self.to_do} %)" if self.to_do else ""
        so_far = f"{duration(time.monotonic() - self.start)} so far"
        parts = [f"{self.done:,} of {counted(self.to_do, 'task')}{share}", so_far]
        if left := self.outlook.left:
            parts.append(left)
        line = ", ".join(parts)
        if not self.counts["Started"]:
            return f"{line}; starting workers"
        # what runs longest
        oldest = list(self.shares.items())[:1]
        return "; ".join(
            [line, *(f"{self.name(task)}: {100 * part:.0f} %" for task, part in oldest)]
        )

    def handle(self, event: events.Event) -> None:
        """Count an event and, if it matters, print a line."""
        self.counts[type(event).__name__] += 1
        self._follow(event)
        if isinstance(getattr(event, "task", None), Examine):
            self.checks[type(event).__name__] += 1
        if line := self._line(event):
            self._printed = time.monotonic()
            self.console.print(line, markup=False, soft_wrap=True)

    def _follow(self, event: events.Event) -> None:
        """Keep count of what is done and of what is still to do."""
        match event:
            case events.Surveyed(to_do, tasks):
                self.to_do, finished = to_do, set(self.names) - set(tasks)
                self.outlook = Outlook(tasks, list(finished), self.store, self.with_shipped)
            case events.Outdated(task, during_run=True):
                self.to_do += 1
                self.outlook.add(task)
            case events.Started(task):
                self.shares[task] = 0.0
                self.outlook.start(task)
            case events.Progress(task, done, total):
                self.shares[task] = done / max(total, 1)
                self.outlook.advance(task, self.shares[task])
            case events.Retried(task):
                self.shares.pop(task, None)
                self.outlook.stop(task)
            case events.Done(task, seconds):
                self._end(task, seconds)
            case events.Failed(task) | events.Skipped(task):
                self._end(task)
            case events.Cached(task, by_another_run=True):
                self._end(task)
            case _:
                pass

    def _end(self, task: Task, seconds: float | None = None) -> None:
        self.done += 1
        self.shares.pop(task, None)
        self.outlook.finish(task, seconds)

    def name(self, task: Task) -> str:
        """A task's name in the spec or, if it has none, the names of its classes."""
        return self.names.get(task) or label(task)

    def _line(self, event: events.Event) -> str:
        match event:
            case events.Done(task, seconds) if isinstance(task, Train):
                return f"{self.name(task)}: {seconds:.0f} s"
            case events.Failed(task, message):
                return f"failed: {self.name(task)}: {self._reason(message)}"
            case events.Warned(task, message) if message not in self.reasons:
                self.reasons.add(message)
                return f"warning: {self.name(task)}: {message}"
            case events.Retried(task, reason):
                return f"retrying: {self.name(task)}: {reason}"
            case events.WorkerJoined(worker, host, device) if host != self.host:
                self.remote.add(worker)
                return f"worker {worker} joined: {device} on {host}"
            case events.WorkerLost(worker, reason, refused=True):
                self.remote.discard(worker)
                return f"worker {worker} is not used: {reason}"
            case events.WorkerLost(worker, reason) if worker in self.remote:
                self.remote.discard(worker)
                return f"worker {worker} is lost: {reason}"
            case events.Damaged(task, problem):
                return f"damaged: {self.name(task)}: {problem}"
            case events.Outdated(task, problem):
                return f"outdated: {self.name(task)}: {problem}"
            case events.Waiting(task, holder) if isinstance(task, Train):
                return f"waiting: {self.name(task)}: {holder} computes it"
            case _:
                return ""

    def _reason(self, message: str) -> str:
        """A message once, then a reminder: one missing file can fail a hundred trainings."""
        repeated = message in self.reasons
        self.reasons.add(message)
        return "for the same reason" if repeated else message

    def summary(self) -> str:
        """What happened, in one line; examinations are counted apart."""
        tasks, checks = _counted(self.counts - self.checks), _counted(self.checks)
        parts = [f"tasks: {tasks or 'none'}"] if tasks or not checks else []
        if checks:
            parts.append(f"checks: {checks}")
        return " · ".join((*parts, f"{time.monotonic() - self.start:.1f} s"))


def _counted(counts: Mapping[str, int]) -> str:
    """How many tasks were computed, found, failed and skipped."""
    words = {
        "Done": "computed",
        "Cached": "found in the store",
        "Failed": "failed",
        "Skipped": "skipped",
    }
    return ", ".join(f"{counts[name]} {word}" for name, word in words.items() if counts[name])


class Live(Lines):
    """Progress on a terminal: one bar for the run and one for each running task."""

    beats = False

    def __init__(
        self,
        console: Console,
        names: Mapping[Task, str] | None = None,
        store: Store | None = None,
        with_shipped: bool = False,
    ) -> None:
        super().__init__(console, names, store, with_shipped)
        # what matters most comes first; labels and metrics shrink where the terminal is narrow
        self.progress = Progress(
            SpinnerColumn(table_column=_fixed(1)),
            MofNCompleteColumn(table_column=_fixed(11)),
            TaskProgressColumn(table_column=_fixed(4)),
            TextColumn("{task.description}", markup=False, table_column=_shrinking(3)),
            TextColumn("{task.fields[numbers]}", table_column=_shrinking(2)),
            console=console,
            transient=True,
            expand=True,
        )
        self.run_bar = self.progress.add_task("starting workers", total=None, numbers="")
        self.bars: dict[Task, TaskID] = {}
        self._looked = 0.0

    def __enter__(self) -> Live:
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def handle(self, event: events.Event) -> None:
        """Count an event, print a line if it matters, and move the bars."""
        super().handle(event)
        match event:
            case events.Started(task):
                self.bars[task] = self.progress.add_task(self.name(task), total=1, numbers="")
            case events.Progress(task, done, total, numbers):
                text = " ".join(f"{name} {value:.3f}" for name, value in numbers.items())
                self.progress.update(self.bars[task], completed=done, total=total, numbers=text)
            case events.Done(task) | events.Failed(task) | events.Retried(task):
                self.progress.remove_task(self.bars.pop(task))
            case _:
                pass
        self.progress.update(self.run_bar, total=self.to_do or None, completed=self.done)
        if time.monotonic() - self._looked > LOOK:
            self._looked = time.monotonic()
            starting = "" if self.counts["Started"] else "starting workers"
            words = ", ".join(filter(None, [self.outlook.left, starting])) or "all tasks"
            self.progress.update(self.run_bar, description=words)


def _fixed(width: int) -> Column:
    """A column that keeps its place."""
    return Column(no_wrap=True, width=width)


def _shrinking(ratio: int) -> Column:
    """A column that gives way where the terminal is narrow."""
    return Column(no_wrap=True, overflow="ellipsis", ratio=ratio)
