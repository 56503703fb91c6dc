"""Whether the steps of target walks suffice."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from invspec.data import Examples, Finding
from invspec.diagnostics.findings import at_most, skipped
from invspec.kinds import Attack, Check
from invspec.ops.draws import Draws
from invspec.search.target_walk import TargetWalk


class WalkBudget(Check):
    """Few target walks are on their way to their target when their steps run out.

    Those that are might have come nearer, so their success rate says something about the number of
    steps, and not about the net alone.
    """

    about_attack: ClassVar[bool] = True
    gates: ClassVar[bool] = False

    threshold: float = Field(
        default=0.05, ge=0, lt=1, description="largest share of walks whose steps run out"
    )

    def applies(self, attack: Attack) -> bool:
        return isinstance(attack, TargetWalk)

    def examine(
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding:
        if not examples.has("ran_out"):
            return skipped("the attack does not say how its walks ended")
        ran_out = examples.tensors["ran_out"].cpu()
        return at_most(
            self.threshold,
            ran_out,
            f"{int(ran_out.sum())} of {len(ran_out)} walks were on their way to their target when"
            " their steps ran out: success rates are lower bounds, remaining distances upper ones",
            "raise steps or step_size",
        )
