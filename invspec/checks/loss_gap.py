"""Whether another loss breaks images that withstand the attack's own."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from invspec.data import Finding
from invspec.diagnostics.ascent import withstand
from invspec.diagnostics.balls import ball_of, has_ball
from invspec.diagnostics.findings import at_most, survivors_of
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack
from invspec.ops.losses import margin


class LossGap(ImageCheck):
    """PGD on the margin breaks no more images than an attack on another loss.

    It is run in the attack's ball, for as many steps, on the images that withstood the attack.
    """

    about_attack: ClassVar[bool] = True

    most_steps: int = Field(default=100, ge=1, description="largest number of updates")
    steps: int = Field(default=40, ge=1, description="updates, if the attack has no such number")
    threshold: float = Field(
        default=0.02, ge=0, lt=1, description="largest share of images that only the margin breaks"
    )

    def applies(self, attack: Attack) -> bool:
        return attack.gradient_loss in ("ce", "confidence") and has_ball(attack)

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        assert attack is not None
        survivors, flags = chosen.survivors, chosen.standing.clone()
        if not len(survivors):
            return at_most(self.threshold, flags, "", "")
        ball = ball_of(attack, model, chosen.batch.bounds)
        start = ball.start(survivors.batch.x, survivors.rng)
        steps = min(getattr(attack, "steps", self.steps), self.most_steps)
        standing = withstand(model, survivors.batch, ball, start, steps, margin)
        flags[chosen.standing] = ~standing
        return at_most(
            self.threshold,
            flags,
            f"PGD on the margin breaks {int((~standing).sum())} of the {len(survivors)} images that"
            " withstood the attack",
            "try the margin loss: `loss: margin`",
            survivors_of(standing),
        )
