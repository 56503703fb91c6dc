"""Whether images that an attack made on other nets break images that withstand it on this one."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from invspec.data import Finding
from invspec.diagnostics.balls import has_ball, is_in_pixels
from invspec.diagnostics.findings import at_most, skipped, survivors_of
from invspec.diagnostics.gradients import logits_at
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack


class Transfer(ImageCheck):
    """What an attack makes on other nets breaks few images that withstand it on this one.

    The other nets are those of the spec that are under the same attack on the same images.
    """

    about_attack: ClassVar[bool] = True
    wants_others: ClassVar[bool] = True
    gates: ClassVar[bool] = False

    images: int = Field(default=256, ge=1, description="largest number of images to look at")
    threshold: float = Field(
        default=0.01, ge=0, lt=1, description="largest share of images that only transfer breaks"
    )

    def applies(self, attack: Attack) -> bool:
        return has_ball(attack) and is_in_pixels(attack) and not attack.wants_target

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        if not chosen.others:
            return skipped("the same attack runs on no other net")
        survivors, flags = chosen.survivors, torch.zeros_like(chosen.standing)
        if not len(survivors):
            return at_most(self.threshold, flags, "", "")
        y, count = survivors.batch.y, len(survivors.others)
        wrong = [logits_at(model, x).argmax(1) != y for x in survivors.others]
        flags[chosen.standing] = broken = torch.stack(wrong).any(0)
        nets = "another net" if count == 1 else f"{count} other nets"
        return at_most(
            self.threshold,
            flags,
            f"what the attack made on {nets} breaks {int(broken.sum())} of the {len(survivors)}"
            " images that withstood it here",
            "the attack is too weak on this net: raise its steps or restarts, or add another one",
            survivors_of(~broken),
        )
