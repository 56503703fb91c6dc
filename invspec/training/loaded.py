"""Base class of defences that load weights instead of training."""

from __future__ import annotations

from typing import ClassVar, Literal, cast

from invspec.kinds import Defence
from invspec.registry.methods import make


class LoadedWeights(Defence):
    """Base class of defences that read the weights of a net from a file."""

    weights_from: ClassVar[Literal["trained", "initial", "published"]] = "published"

    # the file may be large, far away or missing, so a smoke run uses another defence
    def smoke(self) -> Defence:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The defence untrained, which reads no file."""
        return cast(Defence, make("defence", "untrained", {}))
