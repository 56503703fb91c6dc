"""The local executor: one worker process per device, or one thread for a single CPU worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from invspec.execution.events import PoolEvent
from invspec.execution.messages import ENDING, LAST, events_of, lost
from invspec.execution.pools.workers import Worker, WorkerProcess, WorkerThread
from invspec.execution.worker import WorkerConfig
from invspec.registry import cards
from invspec.tasks import Task, key

# examples that an attack gets at once, unless --batch-size is given
CPU_BATCH, GPU_BATCH = 128, 1024


@dataclass(frozen=True)
class LocalExecutor:
    """Runs tasks on this machine: one worker for each entry of devices."""

    devices: tuple[str, ...] = ("cpu",)
    batch_size: int | None = None

    def open(self, root: Path, tasks: int) -> WorkerPool:
        """Start the workers, at most one per task."""
        return WorkerPool([self.config(device, root) for device in self.devices[:tasks]])

    def config(self, device: str, root: Path) -> WorkerConfig:
        """The settings of a worker on a device, for the store in root."""
        batch_size = self.batch_size or (CPU_BATCH if device == "cpu" else GPU_BATCH)
        return WorkerConfig(device, batch_size, root, cards.added())


class WorkerPool:
    """A Pool of threads or processes on this machine."""

    def __init__(self, configs: Sequence[WorkerConfig]) -> None:
        names = [config.device for config in configs]
        if len(configs) > 1:
            names = [f"{device}#{i}" for i, device in enumerate(names)]
        # processes do not wait for each other's Python code; a thread starts seconds faster
        kind = WorkerThread if names == ["cpu"] else WorkerProcess
        self.workers: dict[str, Worker] = {
            name: kind(name, config) for name, config in zip(names, configs, strict=True)
        }

    def idle(self) -> str | None:
        """The name of a worker without a task, None if all are busy."""
        return next((name for name, worker in self.workers.items() if worker.task is None), None)

    def give(self, worker: str, task: Task) -> None:
        """Send a task to an idle worker. If it has died, it is started again first."""
        chosen = self.workers[worker]
        chosen.task = task
        try:
            chosen.pipe.send((task, key(task)))
        except OSError:
            chosen.start()
            chosen.pipe.send((task, key(task)))

    def events(self) -> list[PoolEvent]:
        """Wait for a message of any busy worker, for a second at most."""
        busy = {worker.pipe: worker for worker in self.workers.values() if worker.task is not None}
        if not busy:
            return []
        waiting = wait(list(busy), timeout=1.0)
        return [
            event
            for pipe in waiting
            if isinstance(pipe, Connection)
            for event in _receive(busy[pipe])
        ]

    def close(self) -> None:
        """Stop all workers."""
        for worker in self.workers.values():
            worker.stop()


def _receive(worker: Worker) -> list[PoolEvent]:
    """Read a message of a busy worker as events."""
    task = worker.task
    try:
        message = worker.pipe.recv()
    except (EOFError, OSError):
        worker.task = None
        return lost(worker.name, task, worker.cause_of_death())
    if message[0] in LAST:
        worker.task = None
    if message[0] in ENDING:
        # the next task starts it again
        worker.stop()
    return events_of(message, worker.name, task)
