"""Perform a task: the one entry point of workers."""

from __future__ import annotations

from invspec.perform.attack import perturb
from invspec.perform.runtime import Artifact, Runtime
from invspec.perform.score import score
from invspec.perform.train import train
from invspec.tasks import Perturb, Score, Task, Train


def perform(task: Task, runtime: Runtime) -> Artifact:
    """Do the work of one task whose needs are met."""
    match task:
        case Train():
            return train(task, runtime)
        case Perturb():
            return perturb(task, runtime)
        case Score():
            return score(task, runtime)
