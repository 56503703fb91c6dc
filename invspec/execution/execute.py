"""A run: compute what the store lacks, on any pool of workers, and yield events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from invspec.execution.events import Cached, Damaged, Event, Started, Surveyed, WorkerEvent
from invspec.execution.pools.pool import Executor, Pool
from invspec.execution.schedule import Schedule
from invspec.execution.store import Store
from invspec.execution.survey import Survey
from invspec.tasks import Task


def execute(goals: Sequence[Task], store: Store, executor: Executor) -> Iterator[Event]:
    """Compute the goals and their dependencies, except those that the store has.

    Closing the iterator stops the workers. A task that fails is an event, not an error.

    Raises: Unwritable if artifacts cannot be stored.
    """
    store.prepare()
    survey = Survey()
    for goal in goals:
        survey.visit(goal, store)
    yield Surveyed(len(survey.to_do))
    for task, flaws in survey.damaged.items():
        target = store.move_aside(store.folder(task))
        yield Damaged(task, f"{', '.join(flaws)}; moved to {target}")
    yield from map(Cached, survey.cached)
    if survey.to_do:
        with closing(executor.open(store.root, len(survey.to_do))) as pool:
            yield from _run(list(survey.to_do), pool)


def _run(to_do: Sequence[Task], pool: Pool) -> Iterator[Event]:
    schedule = Schedule(to_do)
    while schedule.active:
        yield from schedule.release()
        while schedule.ready and (worker := pool.idle()) is not None:
            task = schedule.pop()
            pool.give(worker, task)
            yield Started(task, worker)
        for event in pool.events():
            yield event if isinstance(event, WorkerEvent) else schedule.record(event)
