"""Devices to work on, and the settings of workers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from invspec.errors import SpecError
from invspec.execution.worker import WorkerConfig
from invspec.registry import cards


@dataclass(frozen=True)
class Settings:
    """Where to work. devices: one worker each; a single "cpu" works in this process."""

    devices: tuple[str, ...] = ("cpu",)
    batch_size: int | None = None

    def post(self, device: str, root: Path) -> WorkerConfig:
        """A worker's place."""
        return WorkerConfig(
            device, self.batch_size or (128 if device == "cpu" else 1024), root, cards.added()
        )


def devices(named: str | None, workers: int | None) -> tuple[str, ...]:
    """The devices to work on: those named (cuda:0,cuda:1), else every GPU, else one CPU worker for each core."""
    if named is not None:
        found = tuple(device.strip() for device in named.split(","))
        for device in found:
            _check_device(device)
        return found
    if workers is None and torch.cuda.is_available():
        return tuple(f"cuda:{i}" for i in range(torch.cuda.device_count()))
    return ("cpu",) * (workers or cores())


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_device(device: str) -> None:
    visible = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if device not in visible and not (device == "cuda" and len(visible) > 1):
        raise SpecError(
            f"no device {device!r} here", where="--devices", hint=f"visible: {', '.join(visible)}"
        )
