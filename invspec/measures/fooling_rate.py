"""Share of changed predictions."""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field
from torch import nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure
from invspec.scoring.rows import share


class FoolingRate(Measure):
    """Share of examples whose predicted label changes, whatever their true label."""

    complement: bool = Field(default=False, description="report 1 - rate: the rate of invariance")
    among: Literal["all", "correct"] = Field(
        default="all", description="all examples, or those predicted correctly clean"
    )

    def smoke(self) -> Self:
        """Among all examples, since a net of one epoch may have none right."""
        return self.model_copy(update={"among": "all"})

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        judged = examples[0].judged
        kept = (
            judged["prediction"] == judged["y"]
            if self.among == "correct"
            else torch.ones_like(judged["y"]).bool()
        )
        changed = judged["prediction_adv"] != judged["prediction"]
        outcomes = (~changed if self.complement else changed)[kept]
        return Scored([share(outcomes, judged["index"][kept])])
