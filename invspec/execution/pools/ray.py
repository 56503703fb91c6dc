"""Workers on a Ray cluster: a long-lived actor for each slot, which serves one task at a time.

The cluster is one that exists (--address) or this machine. Every node must have the same Python,
Ray and invspec, and see the store under the same path.
"""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invspec.errors import InvspecError
from invspec.execution.devices import cores
from invspec.execution.pools.actors import ActorPool
from invspec.execution.pools.local import CPU_BATCH, GPU_BATCH
from invspec.execution.pools.slots import Placed, Slot, Terms
from invspec.execution.pulse import PATIENCE, Patience, between_signs
from invspec.execution.worker import WorkerConfig
from invspec.registry import cards

# bytes of Ray's own object store, which holds no tensors here
OBJECT_STORE = 100 * 2**20
# seconds to reach the cluster's head
CONNECT = 10.0


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


class RaySlot(Slot):
    """The actor of a slot."""

    def enter(self) -> Placed:
        """Join the run. Returns where this is, too."""
        message, mark = self.join()
        ray = _ray()
        return Placed(message, mark, ray.get_runtime_context().get_node_id(), ray.get_gpu_ids())


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

    def open(self, root: Path, tasks: int) -> ActorPool:
        """Join the cluster and ask it for workers, no more than there are tasks.

        Raises: InvspecError if there is no such cluster, or if it lacks what the workers need.
        """
        ray = _ray()
        _connect(ray, self.address or os.environ.get("RAY_ADDRESS") or "local")
        capacity = Capacity.of(ray.nodes(), self.per_device)
        slots = capacity.check(self.workers or capacity.slots)
        batch_size = self.batch_size or (GPU_BATCH if capacity.gpus else CPU_BATCH)
        pause = between_signs(self.patience)
        share = 1 / self.per_device if capacity.gpus else 1.0
        config = WorkerConfig(capacity.device, batch_size, root, cards.added(), pause, share)
        start = _starter(ray, capacity.needs(), config)
        return ActorPool(ray, start, root, min(slots, tasks), Patience(self.patience))


def _starter(ray: Any, needs: dict[str, float], config: WorkerConfig) -> Callable[[], Any]:
    """A function that asks Ray for the actor of a slot."""
    # a task is tried again by the run, which counts the tries
    actor = ray.remote(RaySlot).options(**needs, max_restarts=0, max_task_retries=0)
    terms = Terms.of_this_process()
    return lambda: actor.remote(config, terms)


@dataclass(frozen=True)
class Capacity:
    """What a cluster has: its GPUs, of which per_device slots share each, and its CPUs."""

    nodes: int
    cpus: int
    gpus: int
    per_device: int

    @classmethod
    def of(cls, nodes: list[dict[str, Any]], per_device: int) -> Capacity:
        """The capacity of Ray's nodes. A slot needs its share on one of them."""
        alive: list[dict[str, float]] = [node["Resources"] for node in nodes if node["Alive"]]
        cpus, gpus = (sum(int(has.get(kind, 0)) for has in alive) for kind in ("CPU", "GPU"))
        return cls(len(alive), cpus, gpus, per_device)

    @property
    def device(self) -> str:
        """The device of every slot. Ray shows each actor its GPU only."""
        return "cuda" if self.gpus else "cpu"

    @property
    def slots(self) -> int:
        """The number of slots that fit."""
        return self.gpus * self.per_device or self.cpus

    def needs(self) -> dict[str, float]:
        """What a slot needs, as Ray's options."""
        if not self.gpus:
            return {"num_cpus": 1}
        return {"num_cpus": 0, "num_gpus": 1 / self.per_device}

    def check(self, slots: int) -> int:
        """The number of slots. Raises InvspecError if they do not fit: Ray would wait for ever."""
        if 0 < slots <= self.slots:
            return slots
        plural = "" if self.nodes == 1 else "s"
        has = f"{self.cpus} CPUs and {self.gpus} GPUs on {self.nodes} node{plural}"
        hint = "start more nodes first"
        if self.slots:
            per = f" with --per-device {self.per_device}" if self.gpus else ""
            hint = f"give --workers {self.slots} or fewer: more do not fit{per}"
        raise InvspecError(f"{slots} workers do not fit: the cluster has {has}", hint=hint)


def _connect(ray: Any, address: str) -> None:
    """Connect to a cluster, or start one if the address is "local". Raises InvspecError."""
    if ray.is_initialized():
        return
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options |= {"object_store_memory": OBJECT_STORE, "num_cpus": cores()}
        options["include_dashboard"] = False
    _silence(ray)
    try:
        _check_reachable(address)
        ray.init(**options)
    except Exception as problem:
        place = "on this machine" if address == "local" else f"at {address}"
        raise InvspecError(
            f"no Ray cluster {place}: {' '.join(str(problem).split())}",
            hint="run on a machine of the cluster, with its token, or `ray start --head` first",
        ) from None


def _silence(ray: Any) -> None:
    """Keep Ray's reports on dead processes off stdout, where results belong.

    They come in spite of log_to_driver=False; the run prints a line of its own.
    """
    internals: Any = getattr(getattr(ray, "_private", None), "worker", None)
    if hasattr(internals, "print_to_stdstream"):
        internals.print_to_stdstream = lambda *data, **options: None


def _check_reachable(address: str) -> None:
    """Raise an error if nothing listens at host:port; Ray itself would try for minutes."""
    if address.startswith("ray://"):
        raise ValueError("Ray Client cannot stream messages; expected host:port of its head")
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT).close()
