"""The local executor: one worker process a device, or a thread of this process where there is only one CPU worker.

Only tasks travel; artifacts go through the store, so a retry or a duplicate is harmless.
"""

from __future__ import annotations

import heapq
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from invspec import cards
from invspec.errors import SpecError
from invspec.executors.events import Cached, Damaged, Done, Event, Failed, Progress, Retried, Skipped, Started, Surveyed
from invspec.executors.worker import Message, Post, serve, serve_process
from invspec.store import Store, Unwritable
from invspec.tasks import Task, Train, needs

ATTEMPTS = 2  # a worker that dies costs its task one retry, not the run


@dataclass(frozen=True)
class Settings:
    """Where to work. devices: one worker each; a single "cpu" works in this process."""

    devices: tuple[str, ...] = ("cpu",)
    batch_size: int | None = None

    def post(self, device: str, root: Path) -> Post:
        """A worker's place."""
        return Post(device, self.batch_size or (128 if device == "cpu" else 1024), root, cards.added())


def devices(named: str | None, workers: int | None) -> tuple[str, ...]:
    """The devices to work on: those named (cuda:0,cuda:1), else every GPU, else one CPU worker for each core."""
    if named is not None:
        found = tuple(device.strip() for device in named.split(","))
        for device in found:
            _check_device(device)
        return found
    if workers is None and torch.cuda.is_available():
        return tuple(f"cuda:{i}" for i in range(torch.cuda.device_count()))
    return ("cpu",) * (workers or cores())


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_device(device: str) -> None:
    visible = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if device not in visible and not (device == "cuda" and len(visible) > 1):
        raise SpecError(f"no device {device!r} here", where="--devices", hint=f"visible: {', '.join(visible)}")


@dataclass
class Survey:
    """What must be computed for some goals, in a runnable order, and what was found of it: whole or damaged."""

    to_do: dict[Task, None] = field(default_factory=dict[Task, None])
    found: dict[Task, None] = field(default_factory=dict[Task, None])
    damaged: dict[Task, list[str]] = field(default_factory=dict[Task, list[str]])

    def visit(self, task: Task, store: Store) -> None:
        """Look for a task and, where it is missing or damaged, for all that it needs."""
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
        posts = [settings.post(device, store.root) for device in settings.devices[: len(survey.to_do)]]
        with Crew(posts) as crew:
            yield from _walk(list(survey.to_do), crew)


def _walk(to_do: list[Task], crew: Crew) -> Iterator[Event]:
    # trainings first: they are long, and everything waits for them
    order = {task: (not isinstance(task, Train), number) for number, task in enumerate(to_do)}
    graph = TopologicalSorter({task: [need for need in needs(task) if need in order] for task in to_do})
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
                event = Failed(task, f"{event.reason}, {ATTEMPTS} times\nhint: out of memory? try --batch-size")
            if isinstance(event, Failed):
                broken[task] = None
            if isinstance(event, Failed | Done):
                graph.done(task)
            yield event


# ─ workers ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Worker:
    """The near end of a worker's pipe, and the task it was given."""

    def __init__(self, name: str, post: Post, own_process: bool) -> None:
        self.name, self.post, self.own_process = name, post, own_process
        self.task: Task | None = None
        self.pipe: Connection
        self.body: Any
        self.start()

    def start(self) -> None:
        """Begin, or begin again after a death."""
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe()
        if self.own_process:
            self.body = context.Process(target=serve_process, args=(far, self.post), name=self.name, daemon=True)
            with _uninterrupted():
                self.body.start()
            far.close()  # so that a death closes the pipe
        else:
            self.body = threading.Thread(target=serve, args=(far, self.post), name=self.name, daemon=True)
            self.body.start()

    def stop(self) -> None:
        """End at once: a process is terminated, a thread ends at its next word."""
        self.pipe.close()
        if self.own_process:
            self.body.terminate()
        self.body.join(timeout=10)

    def death(self) -> str:
        """How a process ended, in words."""
        self.body.join(timeout=10)
        code = self.body.exitcode
        return f"worker {self.name} died" + (f" of signal {-code}" if code and code < 0 else f" (exit code {code})")


@contextmanager
def _uninterrupted() -> Generator[None, None, None]:
    """Processes started in here never hear of a keyboard interrupt, which is their parent's to handle."""
    resource_tracker.ensure_running()  # else it is started along with the first process, and lifts the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Crew:
    """The workers of one run."""

    def __init__(self, posts: Sequence[Post]) -> None:
        alone = len(posts) == 1 and posts[0].device == "cpu"
        names = [f"{post.device}#{i}" if len(posts) > 1 else post.device for i, post in enumerate(posts)]
        self.workers = [Worker(name, post, not alone) for name, post in zip(names, posts, strict=True)]

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.stop()

    def idle(self) -> Worker | None:
        """A worker without a task, if there is one."""
        return next((worker for worker in self.workers if worker.task is None), None)

    def give(self, worker: Worker, task: Task) -> None:
        """Hand a task to an idle worker. A worker found dead is replaced first."""
        worker.task = task
        try:
            worker.pipe.send(task)
        except OSError:
            worker.start()
            worker.pipe.send(task)

    def listen(self) -> list[tuple[Task, Event]]:
        """Wait for a word from any busy worker; every task that a worker spoke of, and what it said."""
        busy = {worker.pipe: worker for worker in self.workers if worker.task is not None}
        if not busy:
            return []
        heard = multiprocessing.connection.wait(list(busy), timeout=1.0)
        return [self._hear(busy[pipe]) for pipe in heard if isinstance(pipe, Connection)]

    def _hear(self, worker: Worker) -> tuple[Task, Event]:
        task = worker.task
        assert task is not None, "an idle worker spoke"
        try:
            message: Message = worker.pipe.recv()
        except (EOFError, OSError):
            worker.task = None
            return task, Retried(task, worker.death())
        match message:
            case ("progress", done, total, numbers):
                return task, Progress(task, done, total, numbers)
            case ("done", seconds):
                worker.task = None
                return task, Done(task, seconds)
            case ("unwritable", reason):  # nor could any other task be kept
                raise Unwritable(reason)
            case _:
                worker.task = None
                return task, Failed(task, message[1])
