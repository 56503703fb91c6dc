"""A run: compute what the store lacks, on any pool of workers, and yield events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from invspec.execution.events import (
    Cached,
    Damaged,
    Event,
    Outdated,
    Started,
    Surveyed,
    WorkerEvent,
)
from invspec.execution.pools.pool import Executor, Pool
from invspec.execution.schedule import Schedule
from invspec.execution.store import Store
from invspec.execution.survey import Survey, change
from invspec.tasks import Task


def execute(goals: Sequence[Task], store: Store, executor: Executor) -> Iterator[Event]:
    """Compute the goals and their dependencies, except those that the store has.

    Closing the iterator stops the workers. A task that fails is an event, not an error.

    Raises: Unwritable if artifacts cannot be stored.
    """
    store.prepare()
    survey = Survey(store)
    for goal in goals:
        survey.visit(goal)
    survey.settle()
    yield Surveyed(len(survey.to_do))
    for task, flaws in survey.damaged.items():
        target = store.move_aside(store.folder(task))
        yield Damaged(task, f"{', '.join(flaws)}; moved to {target}")
    for task, problem in survey.outdated.items():
        yield Outdated(task, _set_aside(task, problem, store))
    yield from (Cached(task) for task in survey.cached if task not in survey.unsure)
    if survey.to_do:
        schedule = Schedule(survey.to_do, survey.unsure, lambda task: _changed(task, store))
        with closing(executor.open(store.root, len(survey.to_do) + len(survey.unsure))) as pool:
            yield from _run(schedule, pool)


def _changed(task: Task, store: Store) -> str:
    """Set an artifact aside if it is outdated. Returns what has changed, empty if nothing has."""
    problem = change(task, store.record)
    return problem and _set_aside(task, problem, store)


def _set_aside(task: Task, problem: str, store: Store) -> str:
    return f"{problem}; moved to {store.move_aside(store.folder(task), 'outdated')}"


def _run(schedule: Schedule, pool: Pool) -> Iterator[Event]:
    while schedule.active:
        yield from schedule.release()
        while schedule.ready and (worker := pool.idle()) is not None:
            task = schedule.pop()
            pool.give(worker, task)
            yield Started(task, worker)
        for event in pool.events():
            yield event if isinstance(event, WorkerEvent) else schedule.record(event)
