"""Whether the steps of an attack can reach the edge of its ball."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from invspec.data import Examples, Finding, Interval
from invspec.diagnostics.findings import skipped
from invspec.kinds import Attack, Check
from invspec.ops.draws import Draws


class Reach(Check):
    """The steps of an attack, laid end to end, are at least as long as the radius of its ball."""

    about_attack: ClassVar[bool] = True
    gates: ClassVar[bool] = False

    def applies(self, attack: Attack) -> bool:
        return bool(getattr(attack, "eps", None)) and _length(attack) is not None

    def examine(
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding:
        assert attack is not None
        settings: Any = attack
        length = _length(attack)
        if length is None:
            return skipped("the attack has no fixed step size")
        reached = settings.steps * length / settings.eps
        measured = Interval(reached, reached, reached, len(examples.clean))
        # rounding of a sum that is meant to be eps
        if reached >= 1 - 1e-6:
            return Finding("passes", measured, 1.0)
        return Finding(
            "fails",
            measured,
            1.0,
            f"{settings.steps} steps of length {length:g} cannot reach eps {settings.eps:g}",
            "raise steps or step_size, or leave step_size out",
        )


def _length(attack: Any) -> float | None:
    """The length of a step, None if the attack sets none or adapts it."""
    if not hasattr(attack, "steps"):
        return None
    if (length := getattr(attack, "step_size", None)) is not None:
        return length
    share = getattr(attack, "relative_step_size", None)
    return None if share is None else share * attack.eps
