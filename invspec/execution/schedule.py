"""Task order of a run: dependencies first, trainings before the rest; how often to try again."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter
from typing import TypeVar

from invspec.execution.events import (
    Cached,
    Done,
    Failed,
    Lost,
    Progress,
    Retried,
    Skipped,
    TaskEvent,
    Warned,
)
from invspec.tasks import Task, Train, needs, needs_device

# a worker that dies costs its task one retry; a task that kills two workers fails
ATTEMPTS = 2
# losses that the task is not to blame for, as of a preempted machine, after which it fails, too;
# only those count since which it has come no further than before
MACHINE_LOSSES = 5


# the last event of a task
Outcome = TypeVar("Outcome", bound=Cached | Done | Failed | Skipped)


class Schedule:
    """The unfinished tasks of a run; skips those that depend on a failed task.

    unsure tasks have artifacts, so that they are not skipped before someone looked at these.
    """

    def __init__(self, to_do: Collection[Task], unsure: Collection[Task] = ()) -> None:
        self._unsure = unsure
        tasks = [*to_do, *unsure]
        # trainings first: they are long, and everything else waits for them
        self._order = {task: (not isinstance(task, Train), i) for i, task in enumerate(tasks)}
        self._graph = TopologicalSorter(
            {task: [need for need in needs(task) if need in self._order] for task in tasks}
        )
        self._graph.prepare()
        # those that need a device, and those that do not
        self._ready: dict[bool, list[tuple[tuple[bool, int], Task]]] = {True: [], False: []}
        self._attempts: Counter[Task] = Counter()
        self._machine_losses: Counter[Task] = Counter()
        # how far a task ever came, and how far it had come at its last loss
        self._furthest: Counter[Task] = Counter()
        self._before: Counter[Task] = Counter()
        self._unavailable: set[Task] = set()
        # tasks that another run has: those to look at later, and all that ever were
        self._deferred: list[Task] = []
        self._elsewhere: set[Task] = set()

    @property
    def active(self) -> bool:
        """Whether any task is not yet finished, failed or skipped."""
        return self._graph.is_active()

    def release(self) -> Iterator[Skipped]:
        """Mark tasks as ready once their inputs are done; skip those with a failed input."""
        while tasks := self._graph.get_ready():
            for task in tasks:
                skipped = self.skipped(task)
                if skipped is None or task in self._unsure:
                    self._push(task)
                else:
                    yield self.finish(skipped)

    def skipped(self, task: Task) -> Skipped | None:
        """That a task is skipped, if an input failed or was skipped."""
        failed_input = next((need for need in needs(task) if need in self._unavailable), None)
        return None if failed_input is None else Skipped(task, failed_input)

    @property
    def waits(self) -> bool:
        """Whether no task could start now, but another run may finish one of the deferred."""
        return bool(self._deferred) and not self.ready

    @property
    def ready(self) -> bool:
        """Whether a task could start now."""
        return any(self._ready.values())

    @property
    def ready_without_device(self) -> bool:
        """Whether a task that needs no device could start now."""
        return bool(self._ready[False])

    def pop(self, without_device: bool = False) -> Task:
        """Take the first ready task, or the first that needs no device, and count the attempt."""
        kinds = (False,) if without_device else (True, False)
        heaps = (self._ready[kind] for kind in kinds if self._ready[kind])
        _, task = heapq.heappop(min(heaps, key=lambda heap: heap[0][0]))
        self._attempts[task] += 1
        return task

    def defer(self, task: Task) -> bool:
        """Put a task that another run has back until `resume`. Returns whether it is new there."""
        self._attempts[task] -= 1
        self._deferred.append(task)
        is_new = task not in self._elsewhere
        self._elsewhere.add(task)
        return is_new

    def resume(self) -> None:
        """Mark deferred tasks as ready."""
        while self._deferred:
            self._push(self._deferred.pop())

    def _push(self, task: Task) -> None:
        heapq.heappush(self._ready[needs_device(task)], (self._order[task], task))

    def record(self, event: TaskEvent) -> Progress | Warned | Retried | Done | Failed:
        """Record an event. Returns the event to yield: a lost task may be retried."""
        if isinstance(event, Progress):
            self._furthest[event.task] = max(self._furthest[event.task], event.done)
        outcome = self._after_loss(event) if isinstance(event, Lost) else event
        return self.finish(outcome) if isinstance(outcome, Done | Failed) else outcome

    def finish(self, outcome: Outcome) -> Outcome:
        """Record the last event of a task, and return it."""
        if isinstance(outcome, Failed | Skipped):
            self._unavailable.add(outcome.task)
        self._graph.done(outcome.task)
        return outcome

    def _after_loss(self, event: Lost) -> Retried | Failed:
        task = event.task
        if event.by_machine:
            self._attempts[task] -= 1
            self._count_machine_loss(task)
            if self._machine_losses[task] <= MACHINE_LOSSES:
                return self._retry(task, event.reason)
            return Failed(task, f"{event.reason}, after {MACHINE_LOSSES} other losses")
        if self._attempts[task] < ATTEMPTS:
            return self._retry(task, event.reason)
        hint = "if it ran out of memory, lower --batch-size"
        return Failed(task, f"{event.reason} in each of {ATTEMPTS} attempts\nhint: {hint}")

    def _count_machine_loss(self, task: Task) -> None:
        """Count a loss. A task that comes further each time may be lost as often as it takes."""
        if self._furthest[task] > self._before[task]:
            self._before[task] = self._furthest[task]
            self._machine_losses[task] = 0
        self._machine_losses[task] += 1

    def _retry(self, task: Task, reason: str) -> Retried:
        self._push(task)
        return Retried(task, reason)
