"""Walk the graph of tasks: compute what the store lacks, and yield events."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from invspec.execution.devices import Settings
from invspec.execution.events import (
    Cached,
    Damaged,
    Done,
    Event,
    Failed,
    Retried,
    Skipped,
    Started,
    Surveyed,
)
from invspec.execution.pools.local import WorkerPool
from invspec.execution.store import Store
from invspec.tasks import Task, Train, needs

ATTEMPTS = 2  # a worker that dies costs its task one retry, not the run


@dataclass
class Survey:
    """What must be computed for some goals, in a runnable order, and what was found of it: whole or damaged."""

    to_do: dict[Task, None] = field(default_factory=dict[Task, None])
    found: dict[Task, None] = field(default_factory=dict[Task, None])
    damaged: dict[Task, list[str]] = field(default_factory=dict[Task, list[str]])

    def visit(self, task: Task, store: Store) -> None:
        """LineStyle for a task and, where it is missing or damaged, for all that it needs."""
        if task in self.to_do or task in self.found:
            return
        flaws = store.flaws(task)
        if flaws == []:
            self.found[task] = None
            return
        if flaws:
            self.damaged[task] = flaws
        for need in needs(task):
            self.visit(need, store)
        self.to_do[task] = None


def execute(goals: Sequence[Task], store: Store, settings: Settings) -> Iterator[Event]:
    """Compute what the store lacks for the goals. Closing the iterator stops the workers.

    Raises Unwritable where nothing can be kept; every other failure is an event.
    """
    store.prepare()
    survey = Survey()
    for goal in goals:
        survey.visit(goal, store)
    yield Surveyed(len(survey.to_do))
    for task, flaws in survey.damaged.items():
        aside = store.set_aside(store.folder(task))
        yield Damaged(task, f"{', '.join(flaws)}; set aside as {aside}")
    yield from map(Cached, survey.found)
    if survey.to_do:
        posts = [
            settings.post(device, store.root) for device in settings.devices[: len(survey.to_do)]
        ]
        with WorkerPool(posts) as crew:
            yield from _walk(list(survey.to_do), crew)


def _walk(to_do: list[Task], crew: WorkerPool) -> Iterator[Event]:
    # trainings first: they are long, and everything waits for them
    order = {task: (not isinstance(task, Train), number) for number, task in enumerate(to_do)}
    graph = TopologicalSorter(
        {task: [need for need in needs(task) if need in order] for task in to_do}
    )
    graph.prepare()
    ready: list[tuple[tuple[bool, int], Task]] = []
    attempts: dict[Task, int] = {}
    broken: dict[Task, None] = {}

    while graph.is_active():
        for task in graph.get_ready():
            because = next((need for need in needs(task) if need in broken), None)
            if because is None:
                heapq.heappush(ready, (order[task], task))
                continue
            broken[task] = None
            graph.done(task)
            yield Skipped(task, because)
        while ready and (worker := crew.idle()) is not None:
            _, task = heapq.heappop(ready)
            attempts[task] = attempts.get(task, 0) + 1
            crew.give(worker, task)
            yield Started(task, worker.name)
        for task, event in crew.listen():
            if isinstance(event, Retried) and attempts[task] < ATTEMPTS:
                heapq.heappush(ready, (order[task], task))
            elif isinstance(event, Retried):
                event = Failed(
                    task, f"{event.reason}, {ATTEMPTS} times\nhint: out of memory? try --batch-size"
                )
            if isinstance(event, Failed):
                broken[task] = None
            if isinstance(event, Failed | Done):
                graph.done(task)
            yield event
