"""Checkpoints of unfinished trainings: <root>/checkpoints/<key>.pt."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from invspec.execution import disk
from invspec.tasks import Task, key


@dataclass(frozen=True)
class Checkpoints:
    """The last saved epoch of each unfinished training in the store at root."""

    root: Path

    def path(self, task: Task) -> Path:
        """The file of a training's checkpoint."""
        return self.root / "checkpoints" / f"{key(task)}.pt"

    def paths(self) -> list[Path]:
        """The files of all checkpoints; their stems are keys."""
        return sorted((self.root / "checkpoints").glob("*.pt"))

    def save(self, task: Task, state: dict[str, Any]) -> None:
        """Replace the checkpoint of a training. Raises Unwritable, and keeps the old one."""
        self.write(task, packed(state))

    def write(self, task: Task, content: memoryview) -> None:
        """Like save, for a state that is packed already."""
        path = self.path(task)
        with disk.writing(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = disk.temporary(self.root, path.stem)
            try:
                partial.write_bytes(content)
                disk.flush(partial)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)

    def load(self, task: Task) -> dict[str, Any] | None:
        """The checkpoint of a training, or None if it has no readable one."""
        path = self.path(task)
        try:
            return torch.load(path, weights_only=True, map_location="cpu")
        except FileNotFoundError:
            return None
        except Exception:
            # torch raises many types for a torn or foreign file; the training then starts over
            path.unlink(missing_ok=True)
            return None

    def delete(self, task: Task) -> None:
        """Delete the checkpoint of a training, if it has one."""
        self.path(task).unlink(missing_ok=True)


def packed(state: dict[str, Any]) -> memoryview:
    """A copy of a training's state as the content of a file."""
    # on a full disk torch.save to a file raises various errors; writing bytes always raises OSError
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getbuffer()
