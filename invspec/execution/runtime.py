"""The runtime of workers: artifacts and checkpoints in a store, rate-limited progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from invspec.data import Journal
from invspec.execution.checkpoints import packed
from invspec.execution.store import Store
from invspec.execution.writer import Writer
from invspec.memory import Limits
from invspec.perform.runtime import Artifact
from invspec.tasks import Task, Train, key, needs

# done, total, and numbers like the latest loss
Report = Callable[[int, int, Mapping[str, float]], None]
Warn = Callable[[str], None]
# name of the seconds spent so far, which a checkpoint holds beside the state of its training
SECONDS = "invspec.seconds"


class StoreRuntime:
    """perform.runtime.Runtime on a store. Reports progress at most ten times per second."""

    # seconds between two reports, and to wait for the artifact of a finished task
    pause, patience = 0.1, 30.0

    def __init__(
        self,
        store: Store,
        device: torch.device,
        batch_size: int,
        report: Report,
        share: float = 1.0,
        warn: Warn | None = None,
    ) -> None:
        self.store, self.device, self.batch_size, self.report = store, device, batch_size, report
        self.limits, self.writer = Limits(share), Writer()
        self._warn = warn
        # digests of what was loaded, by key
        self._loaded: dict[str, str] = {}
        self._reported = -self.pause
        self.begin()

    def begin(self) -> None:
        """Start to count the seconds of a task."""
        self._began, self._earlier = time.monotonic(), 0.0

    def resume_after(self, seconds: float) -> None:
        """Count what a killed process had spent on the task until its last checkpoint."""
        self._earlier = seconds

    @property
    def seconds(self) -> float:
        """What the task has taken so far, without work that was lost."""
        return self._earlier + time.monotonic() - self._began

    def load(self, task: Task) -> Artifact:
        """The stored artifact of a finished task; waits if another machine has just finished it."""
        self.store.wait_for(task, self.patience)
        # first its digest: if another run replaced it between the two, the digest is the old one,
        # and the next survey sees that
        digest = self.store.digest(task)
        if digest is not None:
            self._loaded[key(task)] = digest
        return self.store.load(task)

    def inputs(self, task: Task) -> dict[str, str]:
        """The digests of the artifacts that a task needs, as they were when they were loaded."""
        keys = map(key, needs(task))
        return {name: self._loaded[name] for name in keys if name in self._loaded}

    def journal(self, task: Train) -> Journal:
        """A journal that saves checkpoints in the store."""
        return StoreJournal(self, task)

    def warn(self, message: str) -> None:
        """Report a weakness of the result."""
        if self._warn is not None:
            self._warn(message)

    def progress(self, done: int, total: int, **numbers: float) -> None:
        """Report that done of total steps or examples are finished, unless it is too soon."""
        now = time.monotonic()
        if done == total or now - self._reported > self.pause:
            self._reported = now
            self.report(done, total, numbers)


class StoreJournal(Journal):
    """Reports a training's progress, and saves checkpoints while it goes on.

    They are at least `pause` seconds apart, and so far that they take at most `share` of the time.
    """

    pause, share = 5.0, 0.05

    def __init__(self, runtime: StoreRuntime, task: Train) -> None:
        self.runtime, self.task = runtime, task
        self._due = time.monotonic() + self.pause

    def resume(self) -> dict[str, Any] | None:
        """The last checkpoint of the training, if there is one."""
        state = self.runtime.store.checkpoints.load(self.task)
        if state is not None:
            # older checkpoints do not have it
            self.runtime.resume_after(state.pop(SECONDS, 0.0))
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Save a checkpoint, unless it is too soon. Raises Unwritable if the last one failed."""
        start, writer = time.monotonic(), self.runtime.writer
        if start >= self._due and not writer.is_busy:
            content = packed({**state, SECONDS: self.runtime.seconds})
            writer.submit(partial(self._write, start, content))

    def _write(self, start: float, content: memoryview) -> None:
        self.runtime.store.checkpoints.write(self.task, content)
        end = time.monotonic()
        self._due = end + max(self.pause, (end - start) * (1 / self.share - 1))

    def step(self, done: int, total: int, **numbers: float) -> None:
        """Report progress."""
        self.runtime.progress(done, total, **numbers)
