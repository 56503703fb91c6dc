"""The local executor: one worker process a device, or a thread of this process where there is only one CPU worker.

Only tasks travel; artifacts go through the store, so a retry or a duplicate is harmless.
"""

from __future__ import annotations

import multiprocessing.connection
import signal
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from invspec.execution.events import Done, Event, Failed, Progress, Retried
from invspec.execution.store import Unwritable
from invspec.execution.worker import Message, WorkerConfig, serve, serve_process
from invspec.tasks import Task

# ─ workers ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Worker:
    """The near end of a worker's pipe, and the task it was given."""

    def __init__(self, name: str, post: WorkerConfig, own_process: bool) -> None:
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
            self.body = context.Process(
                target=serve_process, args=(far, self.post), name=self.name, daemon=True
            )
            with _uninterrupted():
                self.body.start()
            far.close()  # so that a death closes the pipe
        else:
            self.body = threading.Thread(
                target=serve, args=(far, self.post), name=self.name, daemon=True
            )
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
        return f"worker {self.name} died" + (
            f" of signal {-code}" if code and code < 0 else f" (exit code {code})"
        )


@contextmanager
def _uninterrupted() -> Generator[None, None, None]:
    """Processes started in here never hear of a keyboard interrupt, which is their parent's to handle."""
    resource_tracker.ensure_running()  # else it is started along with the first process, and lifts the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class WorkerPool:
    """The workers of one run."""

    def __init__(self, posts: Sequence[WorkerConfig]) -> None:
        alone = len(posts) == 1 and posts[0].device == "cpu"
        names = [
            f"{post.device}#{i}" if len(posts) > 1 else post.device for i, post in enumerate(posts)
        ]
        self.workers = [
            Worker(name, post, not alone) for name, post in zip(names, posts, strict=True)
        ]

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
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
