"""Accuracy lost to an attack."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure
from invspec.kinds.measure import Bound
from invspec.ops.types import SHARE_DIFFERENCES, Range
from invspec.scoring.damage import by_label
from invspec.scoring.rows import mean


class AccuracyGap(Measure):
    """Accuracy before the attack minus accuracy after it, on the same examples.

    With random_rotation it is the accuracy lost under rotation; it is negative where an attack
    raises accuracy. An example counts 1 if it is right only before the attack, -1 if it is right
    only after it, and 0 otherwise. The interval is Agresti and Min's (2005).
    """

    wants_model: ClassVar[bool] = False

    @property
    def bound(self) -> Bound:
        return "lower"

    def range_of(self, quantity: str = "") -> Range:
        return SHARE_DIFFERENCES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged = attacked.judged
        lost = judged.correct.long() - judged.correct_adv.long()
        return Scored([mean(lost, judged.index, within=self.range_of())])

    def damage(self, model: nn.Module, attacked: Examples) -> Tensor:
        return by_label(attacked.judged)
