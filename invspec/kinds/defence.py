"""Defences."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from invspec.kinds.method import Method

if TYPE_CHECKING:
    from torch import nn

    from invspec.data import Curves, Journal, Split
    from invspec.ops.draws import Stream


class Defence(Method):
    """A training method."""

    kind: ClassVar[str] = "defence"

    # where the weights of its nets come from; published ones are the same for every seed
    weights_from: ClassVar[Literal["trained", "initial", "published"]] = "trained"

    @abstractmethod
    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        """Fit the model in place, on the device of its weights.

        Returns curves by name, one number per epoch.

        Raises: InvspecError if the loss is not finite.
        """
