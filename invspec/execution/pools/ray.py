"""Workers on a Ray cluster: a long-lived actor for each slot, which serves one task at a time.

The cluster is one that exists (--address) or this machine. Every node must have the same Python,
Ray and invspec, and see the store under the same path.
"""

from __future__ import annotations

import importlib
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from invspec.errors import InvspecError
from invspec.execution import wire
from invspec.execution.channel import Channel
from invspec.execution.events import PoolEvent
from invspec.execution.messages import ENDING, LAST, Message, events_of, lost
from invspec.execution.pools.local import CPU_BATCH, GPU_BATCH
from invspec.execution.pulse import PATIENCE, Patience, between_signs
from invspec.execution.worker import WorkerConfig, serve
from invspec.registry import cards
from invspec.tasks import Task

# seconds between two progress messages of a task, each of which costs milliseconds
PAUSE = 1.0
# bytes of Ray's own object store, which holds no tensors here
OBJECT_STORE = 100 * 2**20
# seconds to reach the cluster's head
CONNECT = 10.0
# seconds without any worker or place for one, after which a run gives up
GIVE_UP = 120.0


def _ray() -> Any:
    """Ray, an optional dependency without complete types. Raises InvspecError without it."""
    # else `uv run` has Ray copy the working folder, store included, to every node
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise InvspecError(
            "--executor ray needs the package ray", hint="install invspec with its extra ray"
        ) from None


# ─ on the nodes ───────────────────────────────────────────────────────────────────────────────────


class QueueChannel(Channel):
    """The worker's end of two queues in its process; tasks come as wire.to_json writes them."""

    def __init__(self) -> None:
        self.tasks: queue.Queue[str] = queue.Queue()
        self.messages: queue.Queue[Message] = queue.Queue()
        self._sent = -PAUSE

    def receive(self) -> Task | None:
        """Wait for the next task, as in Channel."""
        return wire.from_json(self.tasks.get())

    def send(self, message: Message) -> None:
        """Put a message into the queue; progress at most once in PAUSE seconds."""
        now = time.monotonic()
        if message[0] == "progress":
            if now - self._sent < PAUSE:
                return
            self._sent = now
        self.messages.put(message)


class Slot:
    """The actor of a slot."""

    def __init__(self, config: WorkerConfig) -> None:
        for folder in config.registries:
            cards.add(folder)
        self.channel = QueueChannel()
        # the actor's own thread must be free to stream messages
        threading.Thread(target=serve, args=(self.channel, config), daemon=True).start()

    def join(self) -> tuple[Message, str]:
        """The first message, once the worker is ready, and the id of its node."""
        message = self.channel.messages.get()
        return message, _ray().get_runtime_context().get_node_id()

    def perform(self, task: str) -> Iterator[Message]:
        """The messages about a task, to its last one."""
        self.channel.tasks.put(task)
        while (message := self.channel.messages.get())[0] not in LAST:
            yield message
        yield message


# ─ in the run ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class RayExecutor:
    """Runs tasks on a Ray cluster; without an address, on one that it starts on this machine.

    workers is the number of slots, by default one for each GPU or, without any, for each CPU.
    per_device slots share a GPU.
    """

    address: str | None = None
    workers: int | None = None
    per_device: int = 1
    batch_size: int | None = None
    patience: float = PATIENCE

    def open(self, root: Path, tasks: int) -> RayPool:
        """Join the cluster and ask it for workers, no more than there are tasks.

        Raises: InvspecError if there is no such cluster, or if it lacks what a worker needs.
        """
        ray = _ray()
        self._connect(ray)
        resources: dict[str, float] = ray.cluster_resources()
        gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
        device = "cuda" if gpus else "cpu"
        slots = self.workers or (gpus * self.per_device if gpus else cpus)
        needs: dict[str, float] = {"num_cpus": 1}
        if gpus:
            needs["num_gpus"] = 1 / self.per_device
        if cpus < 1 or slots > (gpus * self.per_device if gpus else cpus):
            # Ray would wait for them forever, silently
            raise InvspecError(
                f"{slots} workers do not fit: the cluster has {cpus} CPUs and {gpus} GPUs",
                hint="give fewer --workers, or more --per-device on GPUs",
            )
        batch_size = self.batch_size or (GPU_BATCH if gpus else CPU_BATCH)
        pause = between_signs(self.patience)
        config = WorkerConfig(device, batch_size, root, cards.added(), pause)
        return RayPool(ray, config, min(slots, tasks), needs, Patience(self.patience))

    def _connect(self, ray: Any) -> None:
        if ray.is_initialized():
            return
        local = {} if self.address else {"object_store_memory": OBJECT_STORE}
        try:
            _check_reachable(self.address)
            ray.init(address=self.address, log_to_driver=False, logging_level="ERROR", **local)
        except Exception as problem:
            raise InvspecError(
                f"no Ray cluster at {self.address or 'this machine'}: {problem}",
                hint="start one with `ray start --head`, or correct --address",
            ) from None


def _check_reachable(address: str | None) -> None:
    """Raise OSError if nothing listens at host:port; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit() and "//" not in host:
        socket.create_connection((host, int(port)), timeout=CONNECT).close()


@dataclass
class _Worker:
    """A slot as the run sees it. ref is what it waits for: the join, or a task's messages."""

    name: str
    actor: Any
    ref: Any
    node: str = ""
    joined: bool = False
    task: Task | None = None


@dataclass
class RayPool:
    """A Pool of actors. One that is lost is asked for again; Ray places it when it can."""

    ray: Any
    config: WorkerConfig
    slots: int
    needs: dict[str, float]
    patience: Patience
    workers: dict[str, _Worker] = field(default_factory=dict[str, _Worker])

    def __post_init__(self) -> None:
        self._last_worker = time.monotonic()
        for number in range(self.slots):
            self._ask(f"ray#{number}")

    def _ask(self, name: str) -> None:
        """Ask for the actor of a slot, which joins once Ray has placed it."""
        options = {**self.needs, "max_restarts": 0, "max_task_retries": 0}
        actor = self.ray.remote(Slot).options(**options).remote(self.config)
        self.workers[name] = _Worker(name, actor, actor.join.remote())

    def idle(self) -> str | None:
        """The name of a worker that has joined and has no task."""
        ready = (worker for worker in self.workers.values() if worker.joined)
        return next((worker.name for worker in ready if worker.task is None), None)

    def give(self, worker: str, task: Task) -> None:
        """Send a task to an idle worker."""
        chosen = self.workers[worker]
        chosen.task = task
        perform = chosen.actor.perform.options(num_returns="streaming")
        chosen.ref = perform.remote(wire.to_json(task))
        self.patience.watch(worker, joined=True)

    def events(self) -> list[PoolEvent]:
        """Wait for messages of workers that join or work, for a second at most."""
        waiting = {id(w.ref): w for w in self.workers.values() if w.ref is not None}
        if not waiting:
            time.sleep(PAUSE)
            return self._without_workers()
        refs = [worker.ref for worker in waiting.values()]
        ready, _ = self.ray.wait(refs, num_returns=1, timeout=PAUSE, fetch_local=False)
        events = [event for ref in ready for event in self._read(waiting[id(ref)])]
        for name in self.patience.exhausted():
            events += self._lose(self.workers[name], self.patience.reason, killed=True)
        return events or self._without_workers()

    def _read(self, worker: _Worker) -> list[PoolEvent]:
        try:
            if not worker.joined:
                return self._join(worker)
            message: Message = tuple(self.ray.get(next(worker.ref)))
        except StopIteration:
            return self._lose(worker, "its messages ended")
        except self.ray.exceptions.RayError as problem:
            return self._lose(worker, type(problem).__name__)
        task = worker.task
        self.patience.heard(worker.name)
        if message[0] in LAST:
            self.patience.forget(worker.name)
            worker.task = worker.ref = None
        events = events_of(message, worker.name, task)
        if message[0] == "refused":
            # another one would refuse, too
            worker.joined = False
        elif message[0] in ENDING:
            self._replace(worker)
        return events

    def _join(self, worker: _Worker) -> list[PoolEvent]:
        message, worker.node = self.ray.get(worker.ref)
        worker.joined, worker.ref = True, None
        return events_of(tuple(message), worker.name, None)

    def _lose(self, worker: _Worker, reason: str, *, killed: bool = False) -> list[PoolEvent]:
        """The events of a lost worker, for which another is asked."""
        task, joined = worker.task, worker.joined
        self.patience.forget(worker.name)
        # a process that dies on a node that lives is the task's fault
        by_machine = not killed and (worker.node not in self._nodes() or "Unavailable" in reason)
        self._replace(worker)
        if not joined:
            return []
        return lost(worker.name, task, f"{worker.name}: {reason}", by_machine=by_machine)

    def _replace(self, worker: _Worker) -> None:
        # it may still run, cut off from the cluster: what it then stores is the same
        self.ray.kill(worker.actor)
        self._ask(worker.name)

    def _nodes(self) -> set[str]:
        return {node["NodeID"] for node in self.ray.nodes() if node["Alive"]}

    def _without_workers(self) -> list[PoolEvent]:
        """No events. Raises InvspecError if there has been no worker for too long."""
        if any(worker.joined for worker in self.workers.values()):
            self._last_worker = time.monotonic()
        elif time.monotonic() - self._last_worker > GIVE_UP:
            raise InvspecError(
                f"no worker on the Ray cluster for {GIVE_UP:.0f} s",
                hint="is every node of the same version, and has it room? See `ray status`",
            )
        return []

    def close(self) -> None:
        """Stop all actors. The connection stays, for a further run of this process."""
        for worker in self.workers.values():
            self.ray.kill(worker.actor)
