"""A worker: receives tasks through a channel and saves their artifacts in the store."""

from __future__ import annotations

import os
import platform
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from invspec import memory
from invspec.errors import InvspecError, first_line
from invspec.execution.channel import Channel, PipeChannel
from invspec.execution.determinism import reproducible, settle
from invspec.execution.disk import Unwritable
from invspec.execution.messages import ENDING, Message
from invspec.execution.pulse import PULSE, Shared, pulse
from invspec.execution.runtime import StoreRuntime
from invspec.execution.store import Store
from invspec.execution.threads import Allowance, SpareThreads, own_threads
from invspec.perform import dispatch, proxies
from invspec.registry import cards
from invspec.tasks import Perturb, Task, Train, key


@dataclass(frozen=True)
class WorkerConfig:
    """The device of a worker, the store in root, and folders of the user's cards.

    While it performs a task, it sends a sign of life every `pulse` seconds.
    """

    device: str
    batch_size: int
    root: Path
    registries: tuple[Path, ...] = ()
    pulse: float = PULSE


def serve(channel: Channel, config: WorkerConfig, allowance: Allowance | None = None) -> bool:
    """Perform tasks from the channel until the run ends, on idle cores too where it allows them.

    Returns False if the worker itself ended: its device failed, or it refused a task.
    """
    device, channel = torch.device(config.device), Shared(channel)

    def report(done: int, total: int, numbers: Mapping[str, float]) -> None:
        channel.send(("progress", done, total, dict(numbers)))

    runtime = StoreRuntime(Store(config.root), device, config.batch_size, report)
    spare = SpareThreads(allowance)
    try:
        # before the device's name is asked for, which starts CUDA
        with reproducible(device):
            channel.send(("joined", platform.node(), device_name(device)))
            while message := _next_message(channel, runtime, spare, config.pulse):
                channel.send(message)
                if message[0] in ENDING:
                    return False
    except OSError:
        # the run has ended and closed its end of the channel
        pass
    return True


def serve_process(
    pipe: Connection, config: WorkerConfig, allowance: Allowance | None = None
) -> None:
    """`serve` as the main function of a process, which must read the user's cards itself."""
    for folder in config.registries:
        cards.add(folder)
    if not serve(PipeChannel(pipe), config, allowance):
        # libraries of a failed device may hang when they are unloaded
        os._exit(1)


def _next_message(
    channel: Shared, runtime: StoreRuntime, spare: SpareThreads, seconds: float
) -> Message | None:
    """Perform the next task. Returns the last message about it; None if the run has ended."""
    try:
        task = channel.receive()
    except InvspecError as problem:
        return ("refused", str(problem))
    if task is None:
        return None
    settle(runtime.device, own_threads(task))
    try:
        with pulse(channel, seconds):
            return perform(task, runtime, spare)
    finally:
        torch.set_num_threads(1)


def perform(task: Task, runtime: StoreRuntime, spare: SpareThreads | None = None) -> Message:
    """Perform a task and save its artifact. Returns the last message about it."""
    spare = spare or SpareThreads()
    start = time.monotonic()
    try:
        with spare.during(task, runtime.device):
            artifact = dispatch.perform(task, runtime)
        seconds = time.monotonic() - start
        facts = {"bits": proxies.bits_promise(task, runtime)} if isinstance(task, Perturb) else {}
        threads = max(own_threads(task), spare.used)
        facts |= {"threads": threads} if threads != 1 else {}
        facts |= {
            "inputs": runtime.inputs(task),
            "seconds": round(seconds, 3),
            "device": device_name(runtime.device),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        runtime.store.save(task, artifact, **facts)
    except Unwritable as problem:
        return ("unwritable", str(problem))
    except dispatch.NoMemory as problem:
        return ("no_memory", str(problem))
    except InvspecError as problem:
        return ("failed", str(problem))
    except BrokenPipeError:
        # a progress message found the pipe closed: the run has ended, the task did not fail
        raise
    except (Exception, SystemExit) as problem:
        if is_device_fault(problem):
            return ("faulty", f"{type(problem).__name__}: {first_line(problem)}")
        # a method that calls sys.exit must not end its worker
        return ("failed", _save_traceback(task, problem, runtime.store))
    if isinstance(task, Train):
        runtime.store.checkpoints.delete(task)
    return ("done", seconds)


def is_device_fault(problem: BaseException) -> bool:
    """Whether an error leaves the device of this process unusable, as most errors of CUDA do."""
    if memory.is_lacking(problem):
        return False
    return isinstance(problem, torch.AcceleratorError) or "CUDA error" in str(problem)


def _save_traceback(task: Task, problem: BaseException, store: Store) -> str:
    """Write the traceback of a defect to a file. Returns one line and, as a hint, the path."""
    message = f"{type(problem).__name__}: {first_line(problem)}"
    path = store.root / "failures" / f"{key(task)}.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc())
    except OSError:
        return message
    return f"{message}\nhint: full traceback in {path}"


def device_name(device: torch.device) -> str:
    """The device as made.json names it: the model of a GPU, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
