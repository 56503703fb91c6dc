"""Whether an attack has gradients to follow."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pydantic import Field
from torch import nn

from invspec.data import Finding
from invspec.diagnostics.ascent import withstand
from invspec.diagnostics.balls import ball_of, covers, has_ball
from invspec.diagnostics.findings import OTHER_LOSSES, at_most, counted, survivors_of
from invspec.diagnostics.gradients import logits_and_slopes
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack
from invspec.ops.losses import LOSSES, margin


class Gradient(ImageCheck):
    """Input gradients of the attack's loss do not vanish: few are exactly 0.

    Where they vanish, gradient ascent on the margin is tried in the same ball on the images that
    withstood the attack.
    """

    about_attack: ClassVar[bool] = True

    threshold: float = Field(
        default=0.01, ge=0, lt=1, description="largest share of images whose gradient is 0"
    )
    steps: int = Field(default=40, ge=1, description="updates of the ascent on the margin")

    def is_answered_by(self, other: Attack, attack: Attack) -> bool:
        climbs = other.gradient_loss in ("margin", "dlr") and covers(other, attack)
        return climbs and getattr(other, "steps", 0) >= self.steps

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        assert attack is not None
        assert attack.gradient_loss is not None
        loss = LOSSES[attack.gradient_loss]
        _, slopes = logits_and_slopes(model, loss, chosen.batch.x, chosen.batch.y)
        flags = (slopes == 0).flatten(1).all(1)
        finding = at_most(
            self.threshold,
            flags,
            f"the input gradients of {counted(flags)} are exactly 0",
            "check that the net returns logits that are not scaled, rounded or cut from the graph",
        )
        if finding.status == "passes" or not has_ball(attack) or not len(chosen.survivors):
            return finding
        return self._with_margin(finding, model, attack, chosen.survivors)

    def _with_margin(
        self, finding: Finding, model: nn.Module, attack: Attack, survivors: Chosen
    ) -> Finding:
        ball = ball_of(attack, model, survivors.batch.bounds)
        start = ball.start(survivors.batch.x, survivors.rng)
        standing = withstand(model, survivors.batch, ball, start, self.steps, margin)
        better = not standing.all() and attack.gradient_loss != "margin"
        return replace(
            finding,
            reason=f"{finding.reason}, and PGD on the margin leaves {int(standing.sum())} of the"
            f" {len(standing)} images that withstood the attack",
            hint=OTHER_LOSSES if better else finding.hint,
            survivors=survivors_of(standing),
        )
