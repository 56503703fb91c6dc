"""Reports of a training while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# The course of a training, one number per epoch: {"loss": [...], "accuracy": [...]}.
Curves = Mapping[str, Sequence[float]]


class Journal:
    """Where a training reports its progress and keeps its state, to resume after it was killed.

    This one keeps nothing; the machinery passes one that shows progress and saves a checkpoint per
    epoch.
    """

    def resume(self) -> dict[str, Any] | None:
        """The last saved state of this training, or None."""
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Save a state of tensors, numbers and strings, nested in dicts and lists."""

    def step(self, done: int, total: int, **numbers: float) -> None:
        """Report that `done` of `total` steps are done; numbers are the latest loss etc."""
