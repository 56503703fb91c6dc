"""Progress of a run: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from invspec.execution import events
from invspec.tasks import Examine, Task, Train, label

# seconds without output after which a run prints how far it is
QUIET = 30


class Lines:
    """Progress without a terminal: a line per training, per problem and per half-minute.

    names holds the names of tasks in the spec.
    """

    def __init__(self, console: Console, names: Mapping[Task, str] | None = None) -> None:
        self.console, self.names = console, names or {}
        self.counts: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()  # those of counts that are about examinations
        self.reasons: set[str] = set()
        # workers on this machine come and go without a line
        self.host, self.remote = platform.node(), set[str]()
        self.start = self._printed = time.monotonic()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def handle(self, event: events.Event) -> None:
        """Count an event and, if it matters, print a line."""
        self.counts[type(event).__name__] += 1
        if isinstance(getattr(event, "task", None), Examine):
            self.checks[type(event).__name__] += 1
        if line := self._line(event):
            self._printed = time.monotonic()
            self.console.print(line, markup=False, soft_wrap=True)

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
            case events.Done() if time.monotonic() - self._printed > QUIET:
                return f"{self.counts['Done']} tasks done in {time.monotonic() - self.start:.0f} s"
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

    def __init__(self, console: Console, names: Mapping[Task, str] | None = None) -> None:
        super().__init__(console, names)
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.run_bar = self.progress.add_task("all tasks", total=None, numbers="")
        self.bars: dict[Task, TaskID] = {}
        self.to_do = 0

    def __enter__(self) -> Live:
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def handle(self, event: events.Event) -> None:
        """Count an event, print a line if it matters, and move the bars."""
        super().handle(event)
        match event:
            case events.Surveyed(to_do):
                self.to_do = to_do
                self.progress.update(self.run_bar, total=to_do)
            case events.Outdated(during_run=True):
                self.to_do += 1
                self.progress.update(self.run_bar, total=self.to_do)
            case events.Started(task):
                self.bars[task] = self.progress.add_task(self.name(task), total=1, numbers="")
            case events.Progress(task, done, total, numbers):
                text = " ".join(f"{name} {value:.3f}" for name, value in numbers.items())
                self.progress.update(self.bars[task], completed=done, total=total, numbers=text)
            case events.Done(task) | events.Failed(task):
                self.progress.remove_task(self.bars.pop(task))
                self.progress.advance(self.run_bar)
            case events.Retried(task):
                self.progress.remove_task(self.bars.pop(task))
            case events.Skipped() | events.Cached(by_another_run=True):
                self.progress.advance(self.run_bar)
            case _:
                pass
