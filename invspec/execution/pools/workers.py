"""Workers on this machine, seen from the run: a pipe, the current task, and how to stop."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import ModuleType

from invspec.errors import first_line
from invspec.execution.channel import PipeChannel
from invspec.execution.threads import Allowance, Alone
from invspec.execution.worker import WorkerConfig, serve, serve_process
from invspec.tasks import Task, key

# spawned, not forked: CUDA does not work in forked processes
CONTEXT = multiprocessing.get_context("spawn")
# seconds that a worker may take to end
TIMEOUT = 10
# held while the main module is hidden: two runs in threads of one process must not hide it twice
_MAIN = threading.Lock()


class Worker(ABC):
    """A running worker. task is what it computes, saving what it computed before; None for nothing.

    joined says whether it said that it is ready.
    """

    def __init__(self, name: str, config: WorkerConfig) -> None:
        self.name, self.config = name, config
        self.task: Task | None = None
        self.saving: Task | None = None
        self.joined = False
        self.allowance = shared_allowance()
        self.pipe, worker_end = CONTEXT.Pipe()
        self._launch(worker_end)

    def send(self, task: Task) -> None:
        """Send a task. Raises OSError if the worker has ended."""
        self.pipe.send((task, key(task)))

    @property
    def tasks(self) -> list[Task]:
        """The tasks that would be lost with it, the oldest first."""
        return [task for task in (self.saving, self.task) if task is not None]

    @abstractmethod
    def _launch(self, pipe: Connection) -> None:
        """Start to serve on the worker's end of the pipe."""

    @abstractmethod
    def stop(self) -> None:
        """End the worker and the task that it performs."""

    @abstractmethod
    def cause_of_death(self) -> str:
        """How the worker ended, in words."""


def shared_allowance() -> Allowance:
    """A number that a worker reads at any time, so that threads come and go within a task.

    Where the disk has no room for it, it stays 1.
    """
    try:
        return CONTEXT.RawValue("i", 1)
    except OSError:
        return Alone()


class WorkerThread(Worker):
    """A worker in this process: it starts at once and shares the data sets in memory.

    It lives as long as this process, so nobody waits for its signs of life. If a task leaves it
    unusable, so may be this process: the next worker of that name is a process of its own.
    """

    def _launch(self, pipe: Connection) -> None:
        self._problem = ""
        self._thread = threading.Thread(
            target=self._serve, name=self.name, daemon=True, args=(pipe,)
        )
        self._thread.start()

    def _serve(self, pipe: Connection) -> None:
        """Serve until the run ends. A defect closes the pipe, as the death of a process does."""
        try:
            serve(PipeChannel(pipe), self.config, self.allowance)
        except BaseException as problem:
            self._problem = f": {type(problem).__name__}: {first_line(problem)}"
        finally:
            pipe.close()

    def stop(self) -> None:
        """Close the pipe; the thread stops at its next message."""
        self.pipe.close()
        self._thread.join(TIMEOUT)

    def cause_of_death(self) -> str:
        """The error that ended the thread."""
        self._thread.join(TIMEOUT)
        return f"worker {self.name} ended{self._problem}"


class WorkerProcess(Worker):
    """A worker in a process of its own."""

    def _launch(self, pipe: Connection) -> None:
        self._process = CONTEXT.Process(
            target=serve_process,
            args=(pipe, self.config, self.allowance),
            name=self.name,
            daemon=True,
        )
        with _no_interrupts(), _no_main():
            self._process.start()
        # only the worker keeps its end open, so that its death closes the pipe
        pipe.close()

    def stop(self) -> None:
        """Terminate the process or, if it does not react, kill it."""
        self.pipe.close()
        self._process.terminate()
        self._process.join(TIMEOUT)
        if self._process.is_alive():
            self.kill()

    def kill(self) -> None:
        """End the process, even if it hangs."""
        self.pipe.close()
        self._process.kill()
        self._process.join(TIMEOUT)

    def cause_of_death(self) -> str:
        """The signal that killed the process, or its exit code."""
        self._process.join(TIMEOUT)
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"worker {self.name} was killed by signal {-code}"
        return f"worker {self.name} exited with code {code}"


@contextmanager
def _no_main() -> Generator[None, None, None]:
    """Processes started in this context do not import the script that was called.

    They need nothing of it, and one without `if __name__ == "__main__"` would start them again.
    """
    with _MAIN:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextmanager
def _no_interrupts() -> Generator[None, None, None]:
    """Processes started in this context ignore keyboard interrupts, which their parent handles."""
    # else it would be started by the first process, and unblock the signal there
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
