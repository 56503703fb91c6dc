"""Whether an attack has enough steps."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from invspec.data import Finding
from invspec.diagnostics.balls import has_ball
from invspec.diagnostics.findings import at_most, survivors_of
from invspec.diagnostics.gradients import logits_at
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack


class Converged(ImageCheck):
    """With more steps, an attack breaks few of the images that withstood it."""

    about_attack: ClassVar[bool] = True
    gates: ClassVar[bool] = False

    factor: int = Field(default=3, ge=2, description="number of steps, relative to the attack's")
    most_steps: int = Field(
        default=300, ge=1, description="largest number of steps; attacks that need more are skipped"
    )
    threshold: float = Field(
        default=0.01, ge=0, lt=1, description="largest share of images that only more steps break"
    )

    def applies(self, attack: Attack) -> bool:
        steps = getattr(attack, "steps", None)
        # attacks with queries or targets are not limited by their steps alone
        simple = not hasattr(attack, "queries") and getattr(attack, "loss", "") != "dlr_targeted"
        if steps is None or attack.gradient_loss is None or attack.wants_target or not simple:
            return False
        return has_ball(attack) and self.factor * steps <= self.most_steps

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        assert attack is not None
        survivors, flags = chosen.survivors, torch.zeros_like(chosen.standing)
        if not len(survivors):
            return at_most(self.threshold, flags, "", "")
        steps: int = self.factor * getattr(attack, "steps")  # noqa: B009
        longer = attack.model_copy(update={"steps": steps})
        x_adv = longer.perturb(model, survivors.batch, survivors.rng).x_adv
        standing = logits_at(model, x_adv).argmax(1) == survivors.batch.y
        flags[chosen.standing] = ~standing
        return at_most(
            self.threshold,
            flags,
            f"with {steps} steps the attack breaks {int((~standing).sum())} of the {len(survivors)}"
            " images that withstood it",
            f"raise the number of steps: `steps: {steps}`",
            survivors_of(standing),
        )
