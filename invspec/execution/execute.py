"""A run: compute what the store lacks, on any pool of workers, and yield events.

Several runs may share a store: each claims a task before it computes it, and waits for the tasks
that another one has claimed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from invspec.execution import leases
from invspec.execution.events import (
    Cached,
    Damaged,
    Done,
    Event,
    Failed,
    Outdated,
    PoolEvent,
    Retried,
    Started,
    Surveyed,
    Waiting,
    WorkerEvent,
)
from invspec.execution.leases import Leases
from invspec.execution.pools.pool import Executor, Pool
from invspec.execution.schedule import Schedule
from invspec.execution.store import Store
from invspec.execution.survey import Survey, change
from invspec.tasks import Task

# seconds between two looks at the tasks of other runs
PAUSE = 0.5


def execute(
    goals: Sequence[Task], store: Store, executor: Executor, lease: float = leases.SECONDS
) -> Iterator[Event]:
    """Compute the goals and their dependencies, except those that the store has.

    Closing the iterator stops the workers. A task that fails is an event, not an error. Another run
    that has not renewed its claims for `lease` seconds loses them.

    Raises: Unwritable if artifacts cannot be stored.
    """
    store.prepare()
    survey = Survey(store)
    for goal in goals:
        survey.visit(goal)
    survey.settle()
    yield Surveyed(len(survey.to_do), tuple(survey.to_do))
    cached = [Cached(task) for task in survey.cached if task not in survey.unsure]
    if not survey.to_do:
        yield from cached
        return
    with Leases(store.root, lease) as claims, _old_objects_kept():
        yield from _set_aside(survey, claims)
        yield from cached
        tasks = len(survey.to_do) + len(survey.unsure)
        with closing(executor.open(store.root, tasks)) as pool:
            yield from _Run(store, claims, survey.unsure, pool).events(survey.to_do)


@contextmanager
def _old_objects_kept() -> Generator[None]:
    """Inside the block, the garbage collector does not look at the objects that exist already.

    A large plan has millions of them. All stay alive, and each full collection would visit them.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _set_aside(survey: Survey, claims: Leases) -> Iterator[Damaged | Outdated]:
    """Move damaged and outdated artifacts, unless another run has just replaced them."""
    store = survey.store
    for task in (*survey.damaged, *survey.outdated):
        if not claims.claim(task):
            continue
        if task in survey.damaged:
            yield from _damaged(task, store)
        elif survey.is_current(task):
            yield _outdated(task, survey.outdated[task], store)
        claims.release(task)


def _damaged(task: Task, store: Store) -> Iterator[Damaged]:
    if flaws := store.flaws(task):
        target = store.move_aside(store.folder(task))
        yield Damaged(task, f"{', '.join(flaws)}; moved to {target}")


def _outdated(task: Task, problem: str, store: Store, during_run: bool = False) -> Outdated:
    target = store.move_aside(store.folder(task), "outdated")
    return Outdated(task, f"{problem}; moved to {target}", during_run)


@dataclass
class _Run:
    """A run with something to do."""

    store: Store
    claims: Leases
    unsure: Collection[Task]
    pool: Pool
    _looked: float = 0.0

    def events(self, to_do: Collection[Task]) -> Iterator[Event]:
        schedule = Schedule(to_do, self.unsure)
        while schedule.active:
            self._look_at_other_runs(schedule)
            yield from schedule.release()
            while (start := self._next(schedule)) is not None:
                yield from self._begin(*start, schedule)
                yield from schedule.release()
            for event in self.pool.events():
                yield self._record(event, schedule)

    def _next(self, schedule: Schedule) -> tuple[Task, str] | None:
        """The next task and a worker for it, None if none can start."""
        if schedule.ready_without_device and (worker := self.pool.spare()) is not None:
            return schedule.pop(without_device=True), worker
        if schedule.ready and (worker := self.pool.idle()) is not None:
            return schedule.pop(), worker
        return None

    def _look_at_other_runs(self, schedule: Schedule) -> None:
        """Try deferred tasks again, at most once in PAUSE seconds. Waits if nothing else runs."""
        if schedule.waits and not self.claims.held:
            time.sleep(PAUSE)
        if time.monotonic() - self._looked >= PAUSE:
            self._looked = time.monotonic()
            schedule.resume()

    def _begin(self, task: Task, worker: str, schedule: Schedule) -> Iterator[Event]:
        """Give a task to a worker, unless another run has it, has had it or an input failed."""
        if not self.claims.claim(task):
            if schedule.defer(task):
                yield Waiting(task, self.claims.holder(task))
            return
        self.store.refresh(task)
        is_stored = task in self.store
        if is_stored or task in self.unsure:
            yield from self._examine(task)
            is_stored = task in self.store
        if is_stored:
            self.claims.release(task)
            yield schedule.finish(Cached(task, by_another_run=task not in self.unsure))
        elif (skipped := schedule.skipped(task)) is not None:
            self.claims.release(task)
            yield schedule.finish(skipped)
        else:
            self.pool.give(worker, task)
            yield Started(task, worker)

    def _examine(self, task: Task) -> Iterator[Damaged | Outdated]:
        """Move an artifact aside that is damaged, or whose inputs changed in this run."""
        if task not in self.unsure:
            yield from _damaged(task, self.store)
        elif task not in self.store:
            yield Outdated(task, "another run moved it", during_run=True)
        if problem := change(task, self.store.record):
            yield _outdated(task, problem, self.store, during_run=task in self.unsure)

    def _record(self, event: PoolEvent, schedule: Schedule) -> Event:
        if isinstance(event, WorkerEvent):
            return event
        outcome = schedule.record(event)
        if isinstance(outcome, Done) and outcome.task not in self.store:
            # for the report, which does not wait
            self.store.refresh(outcome.task)
        if isinstance(outcome, Done | Failed | Retried):
            self.claims.release(outcome.task)
        return outcome
