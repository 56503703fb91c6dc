"""The state of a training that a checkpoint saves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from invspec.data import Curves
from invspec.ops.draws import Stream
from invspec.training.auxiliary import Auxiliary


@dataclass
class Checkpoint:
    """The state of a training after an epoch; history has the means of every epoch."""

    model: nn.Module
    auxiliary: Auxiliary
    optimiser: torch.optim.Optimizer
    rng: Stream
    history: list[dict[str, float]] = field(default_factory=list[dict[str, float]])

    def state(self) -> dict[str, Any]:
        """The state to save."""
        return {
            "model": self.model.state_dict(),
            "auxiliary": self.auxiliary.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.generator.get_state(),
            "history": self.history,
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go back to a saved state, if there is one."""
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.auxiliary.load_state_dict(state["auxiliary"])
        self.optimiser.load_state_dict(state["optimiser"])
        # loading a checkpoint to a GPU moves this state too, but generators take it from the CPU
        self.rng.generator.set_state(state["rng"].cpu())
        self.history[:] = state["history"]

    @property
    def curves(self) -> Curves:
        """The numbers of all epochs, by name."""
        names = self.history[0]
        return {name: [numbers[name] for numbers in self.history] for name in names}
