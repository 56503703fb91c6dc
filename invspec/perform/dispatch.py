"""Perform a task of any kind: the entry point of workers."""

from __future__ import annotations

from invspec import memory
from invspec.errors import InvspecError
from invspec.perform.attack import perturb
from invspec.perform.check import examine
from invspec.perform.runtime import Artifact, Runtime
from invspec.perform.score import score
from invspec.perform.train import train
from invspec.tasks import Examine, Perturb, Score, Task, Train


class NoMemory(InvspecError):
    """A task does not fit into the memory of its device, not even in the smallest batches."""


def perform(task: Task, runtime: Runtime) -> Artifact:
    """Perform a task. The artifacts of the tasks that it needs must exist. Raises: NoMemory."""
    try:
        return _perform(task, runtime)
    except RuntimeError as problem:
        if not memory.is_lacking(problem):
            raise
    # after the except block, whose exception holds the frames that hold the memory
    memory.release()
    raise _no_memory(task)


def _perform(task: Task, runtime: Runtime) -> Artifact:
    match task:
        case Train():
            return train(task, runtime)
        case Perturb():
            return perturb(task, runtime)
        case Score():
            return score(task, runtime)
        case Examine():
            return examine(task, runtime)


def _no_memory(task: Task) -> NoMemory:
    if isinstance(task, Train):
        return NoMemory(
            "a batch of the training does not fit into the device's memory",
            hint="lower the batch_size of the defence, or choose another --devices",
        )
    return NoMemory(
        "one example does not fit into the device's memory",
        hint="choose a smaller model or another --devices",
    )
