"""The interface between a task and the machinery that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from invspec.data import Curves, Finding, Journal, Row
from invspec.memory import Limits
from invspec.tasks import Task, Train


@dataclass(frozen=True)
class Artifact:
    """The result of a task. Scores have rows, trainings curves, examinations a finding alone."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    rows: tuple[Row, ...] | None = None
    curves: Curves | None = None
    finding: Finding | None = None


class Runtime(Protocol):
    """What a task may use while it is performed. None of it may change a result."""

    @property
    def device(self) -> torch.device:
        """The device to compute on."""
        ...

    @property
    def batch_size(self) -> int:
        """Number of examples that an attack gets at once."""
        ...

    @property
    def limits(self) -> Limits:
        """Batch sizes that fit into the device's memory, remembered for later tasks."""
        ...

    def load(self, task: Task) -> Artifact:
        """The artifact of a finished task."""
        ...

    def journal(self, task: Train) -> Journal:
        """Reports the progress of a training and saves its checkpoints."""
        ...

    def warn(self, message: str) -> None:
        """Report that the result of the task will have a weakness."""
        ...

    def progress(self, done: int, total: int) -> None:
        """Report that done of total examples are finished."""
        ...
