"""What a task may use while it is performed, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from invspec.data import Curves, Journal, Row
from invspec.tasks import Task, Train


@dataclass(frozen=True)
class Artifact:
    """What a task leaves behind. Only a score has rows, only a training has curves."""

    tensors: Mapping[str, Tensor]
    rows: tuple[Row, ...] | None = None
    curves: Curves | None = None


# ─ doing it ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Runtime(Protocol):
    """Where a task is performed: what it may use, and what can change no number."""

    @property
    def device(self) -> torch.device:
        """Where tensors live while they are worked on."""
        ...

    @property
    def batch_size(self) -> int:
        """Examples that an attack gets at once."""
        ...

    def load(self, task: Task) -> Artifact:
        """What a finished task left behind."""
        ...

    def journal(self, task: Train) -> Journal:
        """Where a training reports and keeps its checkpoints."""
        ...

    def progress(self, done: int, total: int) -> None:
        """So many of the task's examples are done."""
        ...
