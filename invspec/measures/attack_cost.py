"""What an attack costs for an image, counted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from invspec.data import GENERATOR_OPERATIONS, Examples, Scored
from invspec.kinds import Measure
from invspec.kinds.measure import Bound
from invspec.ops.operations import backward_operations, forward_operations
from invspec.ops.types import MAGNITUDES, Range
from invspec.scoring.rows import mean_of_pairs

MILLION = 1e6


class AttackCost(Measure):
    """Mean cost of an attack for an image: passes, or the arithmetic operations that they take.

    A forward and a backward pass through the model count as one each. Operations, in millions, are
    additions and multiplications in convolutions and matrix products of the attacked model's
    passes, and of those of the attack's generator, if it has one; its training is not counted.
    Passes are those through the model alone. Seconds are not measured: they differ between
    machines, and between runs. The interval is over images, or sources and targets.
    """

    counts: Literal["operations", "passes"] = Field(
        default="operations", description="millions of arithmetic operations, or passes"
    )

    @property
    def bound(self) -> Bound:
        return "exact"

    def range_of(self, quantity: str = "") -> Range:
        return MAGNITUDES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged = attacked.judged
        if self.counts == "passes":
            values = judged.forwards + judged.backwards
        else:
            values = self._operations(model, attacked) / MILLION
        return Scored([mean_of_pairs(values.double(), judged, MAGNITUDES)])

    def _operations(self, model: nn.Module, attacked: Examples) -> Tensor:
        """The operations for each example, (N,) float64."""
        (batch,) = attacked.clean.head(1).batches(1)
        judged = attacked.judged
        total = forward_operations(model, batch.x) * judged.forwards.double()
        # only if there are any: a net may have no gradient
        if judged.backwards.any():
            total += backward_operations(model, batch.x) * judged.backwards.double()
        if attacked.has(GENERATOR_OPERATIONS):
            total += attacked.tensors[GENERATOR_OPERATIONS].double()
        return total
