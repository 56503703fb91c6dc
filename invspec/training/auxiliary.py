"""Modules that are trained alongside the model and then discarded, such as a prior or a rival."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn


class Auxiliary(Protocol):
    """A module that is trained alongside the model. Any nn.Module qualifies."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Weights that the model's optimiser also updates."""
        ...

    def modules(self) -> Iterator[nn.Module]:
        """All of its modules, whose dropout masks the training draws."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed training needs, including optimisers of its own."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """Restore a state."""
        ...


@dataclass(frozen=True)
class Auxiliaries:
    """Several auxiliaries as one, by name."""

    parts: Mapping[str, Auxiliary]

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights of all parts, in order."""
        for part in self.parts.values():
            yield from part.parameters()

    def modules(self) -> Iterator[nn.Module]:
        """The modules of all parts, in order."""
        for part in self.parts.values():
            yield from part.modules()

    def state_dict(self) -> dict[str, Any]:
        """The state of each part, by name."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore each part."""
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])


NO_AUXILIARY = Auxiliaries({})
