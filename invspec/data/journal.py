"""Progress reports and saved states of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Curves of a training, one number per epoch: {"loss": [...], "accuracy": [...]}.
Curves = Mapping[str, Sequence[float]]


class Journal:
    """Takes a training's progress reports and saves its state, to resume after it was killed.

    This class does nothing; the machinery passes a subclass that shows progress and saves a
    checkpoint per epoch.
    """

    def resume(self) -> dict[str, Any] | None:
        """The last saved state of this training, or None."""
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Save a state of tensors, numbers and strings, nested in dicts and lists."""

    def step(self, done: int, total: int, **numbers: float) -> None:
        """Report that `done` of `total` steps are done, with the latest numbers, such as loss."""
