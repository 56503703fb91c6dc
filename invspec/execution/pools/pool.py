"""Protocols of executors and their pools of workers: all that a run needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from invspec.execution.events import PoolEvent
from invspec.tasks import Task


class Pool(Protocol):
    """Workers of one run, known by name. Each computes one task at a time.

    Only tasks travel to workers. A worker reads inputs from the store and writes its artifact
    there, so performing a task twice is harmless.
    """

    def idle(self) -> str | None:
        """The name of a worker that may get a task, None if there is none."""
        ...

    def spare(self) -> str | None:
        """The name of a worker without a device and without a task, None if there is none.

        It gets only tasks that need no device, which may also go to any other worker.
        """
        ...

    def give(self, worker: str, task: Task) -> None:
        """Send a task to an idle worker."""
        ...

    def events(self) -> Sequence[PoolEvent]:
        """Wait for messages of busy workers, for about a second at most.

        A worker is idle again after its Lost, Done or Failed, or while it saves what it computed.
        Raises: Unwritable.
        """
        ...

    def close(self) -> None:
        """Stop all workers at once. Tasks that still run leave no artifact."""
        ...


class Executor(Protocol):
    """Where tasks run: on this machine, on a cluster..."""

    def open(self, root: Path, tasks: int) -> Pool:
        """Start workers for a number of tasks on the store in root."""
        ...
