"""Progress of a run, on a terminal and elsewhere."""

from __future__ import annotations

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
from invspec.tasks import Task, Train, label


class Lines:
    """Progress where nobody looks at a screen: a line for each training, failure and half-minute."""

    def __init__(self, console: Console, names: Mapping[Task, str] | None = None) -> None:
        self.console, self.names = console, names or {}
        self.counts: Counter[str] = Counter()
        self.reasons: set[str] = set()
        self.began = self._said = time.monotonic()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def hear(self, event: events.Event) -> None:
        """Count an event and, if it matters, say it."""
        self.counts[type(event).__name__] += 1
        if said := self._words(event):
            self.say(said)

    def name(self, task: Task) -> str:
        """A task as the spec calls it, or else by its classes."""
        return self.names.get(task) or label(task)

    def say(self, words: str) -> None:
        """One line."""
        self._said = time.monotonic()
        self.console.print(words, markup=False, soft_wrap=True)

    def _words(self, event: events.Event) -> str:
        match event:
            case events.Done(task, seconds) if isinstance(task, Train):
                return f"{self.name(task)}: {seconds:.0f} s"
            case events.Failed(task, message):
                return f"failed: {self.name(task)}: {self._reason(message)}"
            case events.Retried(task, reason):
                return f"again: {self.name(task)}: {reason}"
            case events.Damaged(task, what):
                return f"damaged: {self.name(task)}: {what}"
            case events.Done() if time.monotonic() - self._said > 30:
                return f"{self.counts['Done']} tasks done in {time.monotonic() - self.began:.0f} s"
            case _:
                return ""

    def _reason(self, message: str) -> str:
        """A message the first time; then only a reminder, since one missing file can fail a hundred trainings."""
        known = message in self.reasons
        self.reasons.add(message)
        return "for the same reason" if known else message

    def summary(self) -> str:
        """What happened, in one line."""
        words = {
            "Done": "computed",
            "Cached": "found in the store",
            "Failed": "failed",
            "Skipped": "skipped",
        }
        parts = [f"{self.counts[name]} {word}" for name, word in words.items() if self.counts[name]]
        return f"tasks: {', '.join(parts) or 'none'} · {time.monotonic() - self.began:.1f} s"


class Live(Lines):
    """Progress on a terminal: one bar for the run, one for each running task, with the time that is left."""

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
        self.whole = self.progress.add_task("all tasks", total=None, numbers="")
        self.bars: dict[Task, TaskID] = {}

    def __enter__(self) -> Live:
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def hear(self, event: events.Event) -> None:
        """Move the bars."""
        super().hear(event)
        match event:
            case events.Surveyed(to_do):
                self.progress.update(self.whole, total=to_do)
            case events.Started(task):
                self.bars[task] = self.progress.add_task(self.name(task), total=1, numbers="")
            case events.Progress(task, done, total, numbers):
                shown = " ".join(f"{name} {value:.3f}" for name, value in numbers.items())
                self.progress.update(self.bars[task], completed=done, total=total, numbers=shown)
            case events.Done(task) | events.Failed(task) | events.Retried(task):
                self.progress.remove_task(self.bars.pop(task))
                if not isinstance(event, events.Retried):
                    self.progress.advance(self.whole)
            case events.Skipped():
                self.progress.advance(self.whole)
            case _:
                pass
