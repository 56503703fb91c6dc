"""A worker: receives tasks through a channel and saves their artifacts in the store.

An artifact is saved while the next task is computed, if the run sends one.
"""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import torch

from invspec import memory
from invspec.errors import InvspecError, first_line, text_of
from invspec.execution import surroundings
from invspec.execution.channel import Channel, PipeChannel
from invspec.execution.determinism import reproducible, settle
from invspec.execution.disk import Unwritable
from invspec.execution.messages import ENDING, Message
from invspec.execution.pulse import PULSE, Shared, pulse
from invspec.execution.runtime import StoreRuntime
from invspec.execution.store import Store
from invspec.execution.threads import Allowance, SpareThreads, own_threads
from invspec.perform import dispatch, proxies
from invspec.perform.runtime import Artifact
from invspec.registry import cards, own_code
from invspec.tasks import Perturb, Task, Train, key

T = TypeVar("T")
# beside errors, what a method may raise that fails its task and does not end its worker
EXITS = (SystemExit, KeyboardInterrupt, GeneratorExit)


@dataclass(frozen=True)
class WorkerConfig:
    """The device of a worker, the store in root, and folders of the user's cards.

    While it performs a task, it sends a sign of life every `pulse` seconds. share is the part of
    the device's memory that it may take.
    """

    device: str
    batch_size: int
    root: Path
    registries: tuple[Path, ...] = ()
    pulse: float = PULSE
    share: float = 1.0


def serve(channel: Channel, config: WorkerConfig, allowance: Allowance | None = None) -> bool:
    """Perform tasks from the channel until the run ends, on idle cores too where it allows them.

    Returns False if the worker itself ended: its device failed, or it refused a task.
    """
    device, channel = torch.device(config.device), Shared(channel)

    def report(done: int, total: int, numbers: Mapping[str, float]) -> None:
        channel.send(("progress", done, total, dict(numbers)))

    def warn(message: str) -> None:
        channel.send(("warned", message))

    store = Store(config.root)
    runtime = StoreRuntime(store, device, config.batch_size, report, config.share, warn)
    spare = SpareThreads(allowance)
    try:
        # before the device's name is asked for, which starts CUDA
        with reproducible(device):
            channel.send(("joined", platform.node(), device_name(device)))
            while (outcome := _next_outcome(channel, runtime, spare, config.pulse)) is not None:
                if isinstance(outcome, Computed):
                    runtime.writer.submit(partial(_save, outcome, runtime, channel, config.pulse))
                    channel.send(("computed",))
                    continue
                # messages about a task come after those about earlier tasks
                runtime.writer.wait()
                channel.send(outcome)
                if outcome[0] in ENDING:
                    return False
    except OSError:
        # the run has ended and closed its end of the channel
        pass
    runtime.writer.wait()
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


@dataclass(frozen=True)
class Computed:
    """The artifact of a task, which took some seconds, and facts about it for made.json."""

    task: Task
    artifact: Artifact
    seconds: float
    facts: Mapping[str, Any]


def _next_outcome(
    channel: Shared, runtime: StoreRuntime, spare: SpareThreads, seconds: float
) -> Computed | Message | None:
    """Compute the next task. Returns its artifact or the last message; None if the run has ended.

    Sends a sign of life every few seconds.
    """
    try:
        task = channel.receive()
    except InvspecError as problem:
        return ("refused", str(problem))
    if task is None:
        return None
    settle(runtime.device, own_threads(task))
    try:
        with pulse(channel, seconds):
            return compute(task, runtime, spare)
    finally:
        torch.set_num_threads(1)


def _save(computed: Computed, runtime: StoreRuntime, channel: Shared, seconds: float) -> None:
    """Save an artifact, and send the last message about its task."""
    with pulse(channel, seconds):
        message = save(computed, runtime)
    # the run may have ended; the next message notices it, too
    with suppress(OSError):
        channel.send(message)


def perform(task: Task, runtime: StoreRuntime, spare: SpareThreads | None = None) -> Message:
    """Perform a task and save its artifact. Returns the last message about it."""
    outcome = compute(task, runtime, spare or SpareThreads())
    return save(outcome, runtime) if isinstance(outcome, Computed) else outcome


def compute(task: Task, runtime: StoreRuntime, spare: SpareThreads) -> Computed | Message:
    """Perform a task. Returns its artifact or, if it fails, the last message about it."""

    def computed() -> Computed:
        runtime.begin()
        surroundings.begin_peak(runtime.device)
        with spare.during(task, runtime.device):
            artifact = dispatch.perform(task, runtime)
        seconds = runtime.seconds
        # a checkpoint that could not be written ends the run
        runtime.writer.wait()
        facts = _facts(task, runtime, max(own_threads(task), spare.used), seconds)
        return Computed(task, artifact, seconds, facts)

    return _guarded(task, runtime.store, computed)


def _facts(task: Task, runtime: StoreRuntime, threads: int, seconds: float) -> dict[str, Any]:
    facts = {"bits": proxies.bits_promise(task, runtime)} if isinstance(task, Perturb) else {}
    return {
        **facts,
        **({"threads": threads} if threads != 1 else {}),
        "inputs": runtime.inputs(task),
        "seconds": round(seconds, 3),
        "device": device_name(runtime.device),
        **surroundings.peak(runtime.device),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def save(computed: Computed, runtime: StoreRuntime) -> Message:
    """Save an artifact. Returns the last message about its task."""
    task, store = computed.task, runtime.store

    def saved() -> Message:
        store.save(task, computed.artifact, **computed.facts)
        if isinstance(task, Train):
            store.checkpoints.delete(task)
        return ("done", computed.seconds)

    return _guarded(task, store, saved)


def _guarded(task: Task, store: Store, work: Callable[[], T]) -> T | Message:
    """What a piece of work returns or, if it fails, the last message about its task."""
    try:
        return work()
    except Unwritable as problem:
        return ("unwritable", str(problem))
    except dispatch.NoMemory as problem:
        return ("no_memory", str(problem))
    except InvspecError as problem:
        return ("failed", str(problem))
    except BrokenPipeError:
        # a progress message found the pipe closed: the run has ended, the task did not fail
        raise
    except (Exception, *EXITS) as problem:
        if is_device_fault(problem):
            return ("faulty", f"{type(problem).__name__}: {first_line(problem)}")
        # a method that calls sys.exit must not end its worker
        return ("failed", _save_traceback(task, problem, store))


def is_device_fault(problem: BaseException) -> bool:
    """Whether an error leaves the device of this process unusable, as most errors of CUDA do."""
    if memory.is_lacking(problem):
        return False
    # torch before 2.8 has no class for them
    faults = getattr(torch, "AcceleratorError", ())
    return isinstance(problem, faults) or "CUDA error" in text_of(problem)


def _save_traceback(task: Task, problem: BaseException, store: Store) -> str:
    """Write the traceback of a defect to a file.

    Returns one line and, as a hint, the line of a user's code that raised it, and the file's path.
    """
    message = f"{type(problem).__name__}: {first_line(problem)}"
    place = own_code.place(problem)
    raised = f"raised in {place}; " if place else ""
    path = store.root / "failures" / f"{key(task)}.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
    except OSError:
        return f"{message}\nhint: {raised.removesuffix('; ')}" if raised else message
    return f"{message}\nhint: {raised}full traceback in {path}"


def device_name(device: torch.device) -> str:
    """The device as made.json names it: the model of a GPU, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
