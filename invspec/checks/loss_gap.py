"""Whether another loss breaks images that withstand the attack's own."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Finding
from invspec.diagnostics.ascent import withstand
from invspec.diagnostics.balls import ball_of, covers, has_ball
from invspec.diagnostics.findings import OTHER_LOSSES, at_most, is_more_than, survivors_of
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack
from invspec.ops.losses import LOSSES, margin
from invspec.search.gradients import Objective


class LossGap(ImageCheck):
    """PGD on the margin breaks few images that PGD on the attack's own loss does not.

    Both run in the attack's ball from one start, for as many steps as the attack, on the images
    that withstood it.
    """

    # version 1 tried the attack's own loss first, on all images
    version: ClassVar[int] = 2
    about_attack: ClassVar[bool] = True

    most_steps: int = Field(default=100, ge=1, description="largest number of updates")
    steps: int = Field(default=40, ge=1, description="updates, if the attack has no such number")
    threshold: float = Field(
        default=0.1, ge=0, lt=1, description="largest share of images that only the margin breaks"
    )

    def applies(self, attack: Attack) -> bool:
        return attack.gradient_loss in ("ce", "confidence") and has_ball(attack)

    def is_answered_by(self, other: Attack, attack: Attack) -> bool:
        climbs = other.gradient_loss in ("margin", "dlr") and covers(other, attack)
        return climbs and getattr(other, "steps", 0) >= self._steps(attack)

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        assert attack is not None
        assert attack.gradient_loss is not None
        survivors, flags = chosen.survivors, torch.zeros_like(chosen.standing)
        if not len(survivors):
            return at_most(self.threshold, flags, "", "")
        ball = ball_of(attack, model, chosen.batch.bounds)
        start = ball.start(survivors.batch.x, survivors.rng)

        def standing(rows: Tensor, loss: Objective) -> Tensor:
            batch = survivors.batch.take(rows)
            return withstand(model, batch, ball, start[rows], self._steps(attack), loss)

        by_margin = standing(torch.ones_like(survivors.standing), margin)
        # on all images only if the check fails: on most nets the margin breaks few
        by_own, own = torch.ones_like(by_margin), LOSSES[attack.gradient_loss]
        by_own[~by_margin] = standing(~by_margin, own)
        flags[chosen.standing] = only_margin = by_own & ~by_margin
        if is_more_than(self.threshold, flags):
            by_own[by_margin] = standing(by_margin, own)
        return at_most(
            self.threshold,
            flags,
            f"of the {len(survivors)} images that withstood the attack, {int(only_margin.sum())}"
            f" also withstand PGD on its loss, {attack.gradient_loss}, but not PGD on the margin",
            OTHER_LOSSES,
            survivors_of(by_own & by_margin),
        )

    def _steps(self, attack: Attack) -> int:
        return min(getattr(attack, "steps", self.steps), self.most_steps)
