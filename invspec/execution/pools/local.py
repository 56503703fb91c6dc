"""The local executor: one worker process per device, or one thread for a single CPU worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection, wait
from pathlib import Path

from invspec.execution.devices import cores
from invspec.execution.events import Lost, PoolEvent, WorkerLost
from invspec.execution.messages import DURING, ENDING, LAST, Message, events_of, lost
from invspec.execution.pools.cores import Cores
from invspec.execution.pools.sharing import Sharing
from invspec.execution.pools.workers import Worker, WorkerProcess, WorkerThread
from invspec.execution.pulse import PATIENCE, Patience, between_signs
from invspec.execution.worker import WorkerConfig
from invspec.registry import cards
from invspec.tasks import Task

# examples that an attack gets at once, unless --batch-size is given; on a GPU, fewer if they would
# not fit into the worker's share of its memory
CPU_BATCH, GPU_BATCH = 128, 1024


@dataclass(frozen=True)
class LocalExecutor:
    """Runs tasks on this machine: one worker for each entry of devices.

    A worker that gives no sign of life for `patience` seconds is replaced. Where fewer tasks run
    than there are CPU workers, each may use several of the cores. spares is the number of further
    workers, on the CPU, for tasks that need no device.
    """

    devices: tuple[str, ...] = ("cpu",)
    batch_size: int | None = None
    patience: float = PATIENCE
    spares: int = 0

    def open(self, root: Path, tasks: int) -> WorkerPool:
        """Start the workers, at most one per task."""
        configs = [self.config(device, root) for device in self.devices[:tasks]]
        spares = [self.config("cpu", root)] * self.spares
        slots = len(self.devices) if set(self.devices) == {"cpu"} else None
        return WorkerPool(configs, self.patience, spares, Cores(cores(), slots))

    def config(self, device: str, root: Path) -> WorkerConfig:
        """The settings of a worker on a device, for the store in root."""
        batch_size = self.batch_size or (CPU_BATCH if device == "cpu" else GPU_BATCH)
        pause = between_signs(self.patience)
        share = 1 / max(1, self.devices.count(device))
        return WorkerConfig(device, batch_size, root, cards.added(), pause, share)


class WorkerPool:
    """A Pool of threads or processes on this machine."""

    def __init__(
        self,
        configs: Sequence[WorkerConfig],
        patience: float = PATIENCE,
        spares: Sequence[WorkerConfig] = (),
        cores: Cores | None = None,
    ) -> None:
        names = [config.device for config in configs]
        if len(configs) > 1:
            names = [f"{device}#{i}" for i, device in enumerate(names)]
        # processes do not wait for each other's Python code; a thread starts seconds faster
        kind = WorkerThread if names == ["cpu"] else WorkerProcess
        self.workers: dict[str, Worker] = {
            name: kind(name, config) for name, config in zip(names, configs, strict=True)
        }
        self.patience = Patience(patience)
        self.cores = cores or Cores(1, None)
        # events of workers that were replaced
        self._buried: list[PoolEvent] = []
        self.sharing = Sharing({name: w.config.device for name, w in self.workers.items()})
        # started with their first task: each takes seconds, and many runs have no task for them
        self.spares = {f"spare#{i}": config for i, config in enumerate(spares)}
        for name in self.spares:
            self.sharing.place(name, name)

    def idle(self) -> str | None:
        """The name of a worker that may get a task, None if there is none."""
        if not self.cores.are_left(self._tasks()):
            return None
        idle = (name for name, worker in self.workers.items() if worker.task is None)
        return next((name for name in idle if self._may_work(name)), None)

    def _may_work(self, name: str) -> bool:
        """Whether a worker may get any task."""
        return name not in self.spares and self.sharing.is_open(name)

    def spare(self) -> str | None:
        """The name of a worker without a device and without a task, None if there is none."""
        return next((name for name in self.spares if not self._has_task(name)), None)

    def _has_task(self, name: str) -> bool:
        return name in self.workers and self.workers[name].task is not None

    def give(self, worker: str, task: Task) -> None:
        """Send a task to an idle worker. If it has ended, another one replaces it first."""
        if worker not in self.workers:
            self.workers[worker] = WorkerProcess(worker, self.spares[worker])
        try:
            self._send(self.workers[worker], task)
        except OSError:
            self._replace(self.workers[worker])
            self._send(self.workers[worker], task)
        chosen = self.workers[worker]
        if isinstance(chosen, WorkerProcess):
            self.patience.watch(worker, joined=chosen.joined)

    def events(self) -> list[PoolEvent]:
        """Wait for a message of any working worker, for a second at most."""
        happened, self._buried = self._buried, []
        happened += [event for name in self._next_alone() for event in self._give_alone(name)]
        working = {worker.pipe: worker for worker in self._working()}
        if not working:
            return happened
        for pipe in wait(list(working), timeout=1.0):
            if isinstance(pipe, Connection):
                happened += self._receive(working[pipe])
        silent = (self.workers[name] for name in self.patience.exhausted())
        return [*happened, *chain.from_iterable(map(self._give_up, silent))]

    def close(self) -> None:
        """Stop all workers."""
        for worker in self.workers.values():
            worker.stop()

    def _working(self) -> Iterator[Worker]:
        for name, worker in self.workers.items():
            if worker.tasks and not self.sharing.waits(name):
                yield worker

    def _send(self, worker: Worker, task: Task) -> None:
        worker.task = task
        # before the task, which looks for idle cores as it starts
        self._share_cores()
        worker.send(task)

    def _tasks(self) -> list[Task]:
        return [worker.task for worker in self.workers.values() if worker.task is not None]

    def _share_cores(self) -> None:
        share = self.cores.share(self._tasks())
        for worker in self.workers.values():
            worker.allowance.value = share

    def _receive(self, worker: Worker) -> list[PoolEvent]:
        """Read a message of a working worker as events."""
        try:
            message: Message = worker.pipe.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        self.patience.heard(worker.name)
        worker.joined |= message[0] == "joined"
        if message[0] == "no_memory" and self.sharing.wait(worker.name):
            self.patience.forget(worker.name)
            return []
        task = worker.task if message[0] in DURING else next(iter(worker.tasks), None)
        if message[0] == "computed":
            worker.saving = self._take(worker)
        if message[0] in LAST:
            self._end_oldest(worker)
        if message[0] in ENDING:
            # the next task starts another one
            worker.stop()
        return events_of(message, worker.name, task)

    def _take(self, worker: Worker) -> Task | None:
        """Take the task that a worker computes from it: its device is free for another one."""
        task, worker.task = worker.task, None
        self._share_cores()
        self.sharing.release(worker.name)
        return task

    def _end_oldest(self, worker: Worker) -> None:
        """Take the oldest task from a worker, which finished or failed."""
        if worker.saving is None:
            self._take(worker)
        worker.saving = None
        if worker.task is None:
            self.patience.forget(worker.name)

    def _bury(self, worker: Worker, reason: str | None = None) -> list[PoolEvent]:
        """The events of a worker that has ended, with all its tasks."""
        saved, computed = worker.saving, worker.task
        while worker.tasks:
            self._end_oldest(worker)
        reason = reason or worker.cause_of_death()
        if saved is None or computed is None:
            return lost(worker.name, saved, computed, reason=reason)
        # a task that was only being saved is not to blame for what the next one did
        return [*lost(worker.name, computed, reason=reason), Lost(saved, reason, by_machine=True)]

    def _replace(self, worker: Worker) -> None:
        """Start a process in the place of a worker that ended, perhaps while it saved."""
        if worker.saving is not None:
            self._buried += lost(worker.name, worker.saving, reason=worker.cause_of_death())
        self.workers[worker.name] = WorkerProcess(worker.name, worker.config)

    def _give_up(self, worker: Worker) -> list[PoolEvent]:
        """Kill a silent worker."""
        assert isinstance(worker, WorkerProcess), f"a thread is watched: {worker.name}"
        worker.kill()
        return self._bury(worker, f"worker {worker.name} {self.patience.reason}")

    def _next_alone(self) -> list[str]:
        return self.sharing.next([worker.name for worker in self._working()])

    def _give_alone(self, name: str) -> list[PoolEvent]:
        """Try a task again that ran out of memory, on a device that nobody else uses.

        The device's other workers end, since even an idle one keeps nets and a part of the memory.
        """
        task = self.workers[name].task
        assert task is not None, f"worker {name} waits without a task"
        others = [self.workers[other] for other in self.sharing.others(name)]
        ended = [other for other in others if not other.pipe.closed]
        for other in ended:
            other.stop()
        self.give(name, task)
        reason = f"made room for a task of {name}, which ran out of memory"
        return [WorkerLost(other.name, reason) for other in ended]
