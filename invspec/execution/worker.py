"""One worker: takes tasks from a pipe, reads their inputs from the store and writes their artifacts there."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from invspec.data import Journal
from invspec.errors import InvspecError, first_line
from invspec.execution.store import Store, Unwritable
from invspec.perform import dispatch, proxies
from invspec.perform.runtime import Artifact
from invspec.registry import cards
from invspec.tasks import Perturb, Task, Train, key

# from a worker: (word, ...); the words are progress, done, failed and unwritable
Message = tuple[Any, ...]


Tell = Callable[[Message], None]


@dataclass(frozen=True)
class WorkerConfig:
    """Where a worker works, and what it needs to find the store and the same registry."""

    device: str
    batch_size: int
    root: Path
    registries: tuple[Path, ...] = ()


class Runtime:
    """tasks.Runtime on a store, telling its progress at most ten times a second."""

    def __init__(self, post: WorkerConfig, tell: Tell) -> None:
        self.device, self.batch_size = torch.device(post.device), post.batch_size
        self.store, self.tell = Store(post.root), tell
        self._told = 0.0

    def load(self, task: Task) -> Artifact:
        """From the store."""
        return self.store.load(task)

    def journal(self, task: Train) -> Journal:
        """One that keeps a checkpoint in the store."""
        return StoreJournal(self, task)

    def progress(self, done: int, total: int, **numbers: float) -> None:
        """Tell, unless it was told just now."""
        now = time.monotonic()
        if done == total or now - self._told > 0.1:
            self._told = now
            self.tell(("progress", done, total, numbers))


class StoreJournal(Journal):
    """Progress to the runtime, checkpoints to the store; epochs shorter than `pause` seconds are not all kept."""

    pause = 5.0

    def __init__(self, runtime: Runtime, task: Train) -> None:
        self.runtime, self.task = runtime, task
        self._kept = time.monotonic()

    def resume(self) -> dict[str, Any] | None:
        """The last epoch that was kept."""
        return self.runtime.store.read_checkpoint(self.task)

    def save(self, state: dict[str, Any]) -> None:
        """Keep the state, unless one was kept just now."""
        if time.monotonic() - self._kept >= self.pause:
            self.runtime.store.keep_checkpoint(self.task, state)
            self._kept = time.monotonic()

    def step(self, done: int, total: int, **numbers: float) -> None:
        """Tell the runtime."""
        self.runtime.progress(done, total, **numbers)


def serve(pipe: Connection, post: WorkerConfig) -> None:
    """Work until the pipe closes or says None."""
    runtime = Runtime(post, pipe.send)
    with settled(runtime.device):
        while (task := _next(pipe)) is not None:
            try:
                pipe.send(do(task, runtime))
            except OSError:  # nobody listens any more
                return


def serve_process(pipe: Connection, post: WorkerConfig) -> None:
    """`serve` as the main function of a process."""
    for folder in post.registries:
        cards.add(folder)
    serve(pipe, post)


def _next(pipe: Connection) -> Task | None:
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None


def do(task: Task, runtime: Runtime) -> Message:
    """Perform a task and keep its artifact; the answer is the last message about it."""
    began = time.monotonic()
    try:
        artifact = dispatch.perform(task, runtime)
        seconds = time.monotonic() - began
        made = {"bits": proxies.promise(task, runtime)} if isinstance(task, Perturb) else {}
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        made |= {"seconds": round(seconds, 3), "device": name(runtime.device), "finished": finished}
        runtime.store.save(task, artifact, **made)
    except Unwritable as problem:
        return ("unwritable", str(problem))
    except InvspecError as problem:
        return ("failed", str(problem))
    except BrokenPipeError:
        raise
    except (Exception, SystemExit) as problem:  # a method that exits must not take its worker along
        return ("failed", _unforeseen(task, problem, runtime.store))
    if isinstance(task, Train):
        runtime.store.drop_checkpoint(task)
    return ("done", seconds)


def _unforeseen(task: Task, problem: BaseException, store: Store) -> str:
    """A defect of a method or of invspec: one line for the user, the whole story in a file."""
    line = first_line(problem)
    path = store.root / "failures" / f"{key(task)}.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc())
        return f"{type(problem).__name__}: {line}\nhint: the whole story is in {path}"
    except OSError:
        return f"{type(problem).__name__}: {line}"


def name(device: torch.device) -> str:
    """What made.json says of a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


@contextmanager
def settled(device: torch.device) -> Generator[None, None, None]:
    """One CPU thread a task and no shortened floats on a GPU: how many work side by side changes no number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
