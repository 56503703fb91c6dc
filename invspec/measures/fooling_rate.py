"""Share of changed predictions."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds.measure import Bound
from invspec.ops.types import SHARES, Range
from invspec.scoring.among import Among, CountedMeasure, counted
from invspec.scoring.damage import by_change
from invspec.scoring.rows import share


class FoolingRate(CountedMeasure):
    """Share of examples whose predicted label changes, or stays, whatever their true label.

    With complement it is the rate of invariance, the share whose label stays.

    Raises: InvspecError where among is correct and no example is classified correctly.
    """

    wants_model: ClassVar[bool] = False

    complement: bool = Field(default=False, description="report 1 - rate: the rate of invariance")
    among: Among = Field(
        default="all", description="all examples, or those classified correctly clean"
    )

    @property
    def bound(self) -> Bound:
        return "upper" if self.complement else "lower"

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        judged = examples[0].judged
        judged = judged.take(counted(judged, self.among))
        outcomes = ~judged.changed if self.complement else judged.changed
        return Scored([share(outcomes, judged.index)])

    def damage(self, model: nn.Module, attacked: Examples) -> Tensor:
        return by_change(attacked.judged)
