"""A worker: receives tasks through a pipe and saves their artifacts in the store."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from invspec.errors import InvspecError, first_line
from invspec.execution.determinism import reproducible, settle
from invspec.execution.disk import Unwritable
from invspec.execution.runtime import StoreRuntime
from invspec.execution.store import Store
from invspec.perform import dispatch, proxies
from invspec.registry import cards
from invspec.tasks import Perturb, Task, Train, key

# A message of a worker about its current task, one of
#   ("progress", done, total, numbers)   as in events.Progress
#   ("done", seconds)
#   ("failed", reason)                   reason may end with a hint
#   ("unwritable", reason)               the store is full or read-only
Message = tuple[Any, ...]


@dataclass(frozen=True)
class WorkerConfig:
    """The device of a worker, the store in root, and folders of the user's cards."""

    device: str
    batch_size: int
    root: Path
    registries: tuple[Path, ...] = ()


def serve(pipe: Connection, config: WorkerConfig) -> None:
    """Perform tasks from the pipe until it closes or None arrives."""
    device = torch.device(config.device)

    def report(done: int, total: int, numbers: Mapping[str, float]) -> None:
        pipe.send(("progress", done, total, numbers))

    runtime = StoreRuntime(Store(config.root), device, config.batch_size, report)
    with reproducible(device):
        while (task := _next(pipe)) is not None:
            settle(device)
            try:
                pipe.send(perform(task, runtime))
            except OSError:
                # the run has ended and closed its end of the pipe
                return


def serve_process(pipe: Connection, config: WorkerConfig) -> None:
    """`serve` as the main function of a process, which must read the user's cards itself."""
    for folder in config.registries:
        cards.add(folder)
    serve(pipe, config)


def _next(pipe: Connection) -> Task | None:
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None


def perform(task: Task, runtime: StoreRuntime) -> Message:
    """Perform a task and save its artifact. Returns the last message about it."""
    start = time.monotonic()
    try:
        artifact = dispatch.perform(task, runtime)
        seconds = time.monotonic() - start
        facts = {"bits": proxies.bits_promise(task, runtime)} if isinstance(task, Perturb) else {}
        facts |= {
            "seconds": round(seconds, 3),
            "device": device_name(runtime.device),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        runtime.store.save(task, artifact, **facts)
    except Unwritable as problem:
        return ("unwritable", str(problem))
    except InvspecError as problem:
        return ("failed", str(problem))
    except BrokenPipeError:
        # a progress message found the pipe closed: the run has ended, the task did not fail
        raise
    except (Exception, SystemExit) as problem:
        # a method that calls sys.exit must not end its worker
        return ("failed", _save_traceback(task, problem, runtime.store))
    if isinstance(task, Train):
        runtime.store.checkpoints.delete(task)
    return ("done", seconds)


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
