"""Share of correct predictions."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure
from invspec.kinds.measure import Bound
from invspec.ops.types import SHARES, Range
from invspec.scoring.damage import by_label
from invspec.scoring.rows import share


class Accuracy(Measure):
    """Share of correct predictions after the attack; after `identity`, the clean accuracy."""

    wants_model: ClassVar[bool] = False

    clean: bool = Field(default=False, description="judge the clean images instead")

    @property
    def bound(self) -> Bound:
        return "exact" if self.clean else "upper"

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        judged = attacked.judged
        correct = judged.correct if self.clean else judged.correct_adv
        return Scored([share(correct, judged.index)])

    def damage(self, model: nn.Module, attacked: Examples) -> Tensor:
        return by_label(attacked.judged)
