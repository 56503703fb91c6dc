"""Modules that learn beside the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from torch import nn


class Auxiliary(Protocol):
    """What learns beside a model. A module does, of which the model's optimiser then trains all parameters."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """Those that are updated together with the model's."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that a training that goes on must know, optimisers of its own included."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """Go on from there."""
        ...
