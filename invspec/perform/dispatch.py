"""Perform a task of any kind: the entry point of workers."""

from __future__ import annotations

from invspec.perform.attack import perturb
from invspec.perform.runtime import Artifact, Runtime
from invspec.perform.score import score
from invspec.perform.train import train
from invspec.tasks import Perturb, Score, Task, Train


def perform(task: Task, runtime: Runtime) -> Artifact:
    """Perform a task. The artifacts of the tasks that it needs must exist."""
    match task:
        case Train():
            return train(task, runtime)
        case Perturb():
            return perturb(task, runtime)
        case Score():
            return score(task, runtime)
