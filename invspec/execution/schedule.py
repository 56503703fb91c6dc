"""Task order of a run: dependencies first, trainings before the rest; how often to try again."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from graphlib import TopologicalSorter

from invspec.execution.events import (
    Cached,
    Done,
    Failed,
    Lost,
    Outdated,
    Progress,
    Retried,
    Skipped,
    TaskEvent,
)
from invspec.tasks import Task, Train, needs

# a worker that dies costs its task one retry; a task that kills two workers fails
ATTEMPTS = 2
# losses that the task is not to blame for, as of a preempted machine, after which it fails, too
MACHINE_LOSSES = 5


class Schedule:
    """The unfinished tasks of a run; skips those that depend on a failed task.

    unsure tasks have artifacts. Once their inputs are computed, changed(task) says which of them
    has changed, and the task is computed again; if it is empty, the artifact stays.
    """

    def __init__(
        self,
        to_do: Collection[Task],
        unsure: Collection[Task] = (),
        changed: Callable[[Task], str] = lambda task: "",
    ) -> None:
        self._unsure, self._changed = unsure, changed
        tasks = [*to_do, *unsure]
        # trainings first: they are long, and everything else waits for them
        self._order = {task: (not isinstance(task, Train), i) for i, task in enumerate(tasks)}
        self._graph = TopologicalSorter(
            {task: [need for need in needs(task) if need in self._order] for task in tasks}
        )
        self._graph.prepare()
        self._ready: list[tuple[tuple[bool, int], Task]] = []
        self._attempts: Counter[Task] = Counter()
        self._machine_losses: Counter[Task] = Counter()
        self._unavailable: set[Task] = set()

    @property
    def active(self) -> bool:
        """Whether any task is not yet finished, failed or skipped."""
        return self._graph.is_active()

    def release(self) -> Iterator[Skipped | Cached | Outdated]:
        """Mark tasks as ready once their inputs are done; skip those with a failed input."""
        while tasks := self._graph.get_ready():
            for task in tasks:
                yield from self._release(task)

    def _release(self, task: Task) -> Iterator[Skipped | Cached | Outdated]:
        if task in self._unsure:
            # an input that could not be computed again has not changed
            if not (problem := self._changed(task)):
                self._graph.done(task)
                yield Cached(task)
                return
            yield Outdated(task, problem, during_run=True)
        failed_input = next((need for need in needs(task) if need in self._unavailable), None)
        if failed_input is None:
            self._push(task)
            return
        self._unavailable.add(task)
        self._graph.done(task)
        yield Skipped(task, failed_input)

    @property
    def ready(self) -> bool:
        """Whether a task could start now."""
        return bool(self._ready)

    def pop(self) -> Task:
        """Take the first ready task, and count the attempt."""
        _, task = heapq.heappop(self._ready)
        self._attempts[task] += 1
        return task

    def _push(self, task: Task) -> None:
        heapq.heappush(self._ready, (self._order[task], task))

    def record(self, event: TaskEvent) -> Progress | Retried | Done | Failed:
        """Record an event. Returns the event to yield: a lost task may be retried."""
        outcome = self._after_loss(event) if isinstance(event, Lost) else event
        if isinstance(outcome, Failed):
            self._unavailable.add(outcome.task)
        if isinstance(outcome, Done | Failed):
            self._graph.done(outcome.task)
        return outcome

    def _after_loss(self, event: Lost) -> Retried | Failed:
        task = event.task
        if event.by_machine:
            self._attempts[task] -= 1
            self._machine_losses[task] += 1
            if self._machine_losses[task] <= MACHINE_LOSSES:
                return self._retry(task, event.reason)
            return Failed(task, f"{event.reason}, after {MACHINE_LOSSES} other losses")
        if self._attempts[task] < ATTEMPTS:
            return self._retry(task, event.reason)
        hint = "if it ran out of memory, lower --batch-size"
        return Failed(task, f"{event.reason} in each of {ATTEMPTS} attempts\nhint: {hint}")

    def _retry(self, task: Task, reason: str) -> Retried:
        self._push(task)
        return Retried(task, reason)
