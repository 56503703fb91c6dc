"""Whether the images of an attack are where it may search."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Finding
from invspec.diagnostics.balls import balls_of
from invspec.diagnostics.findings import at_most, counted
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack
from invspec.kinds.check import Doubts
from invspec.ops.norms import ORDERS, size
from invspec.search.ball import Ball


class Budget(ImageCheck):
    """The attacked images are in the ball and within the bounds of pixels.

    The radius is exceeded if it is by `slack`, relative to the radius, and by more than what
    float32 rounds off the pixels.
    """

    about_attack: ClassVar[bool] = True
    # an attack that leaves its ball finds too much, one that is too weak finds too little
    doubts: ClassVar[Doubts] = "everything"
    all_images: ClassVar[bool] = True

    images: int = Field(default=256, ge=1, description="largest number of images to look at")
    slack: float = Field(default=1e-5, ge=0, description="excess of the radius that is allowed")

    def applies(self, attack: Attack) -> bool:
        return not attack.leaves_bounds or getattr(attack, "eps", None) is not None

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        assert attack is not None
        batch, x_adv = chosen.batch, chosen.x_adv
        low, high = batch.bounds
        outside = ((x_adv < low) | (x_adv > high)).flatten(1).any(1) & (not attack.leaves_bounds)
        distant = [self._is_distant(ball, batch, x_adv) for ball in balls_of(attack, model)]
        far = torch.stack(distant).all(0) if distant else torch.zeros_like(outside)
        where = "its ball" if far.any() else "the bounds of pixels"
        return at_most(
            0.0,
            far | outside,
            f"{counted(far if far.any() else outside)} of the attack are out of {where}",
            "project onto the ball after every update, then clamp to the bounds",
        )

    def _is_distant(self, ball: Ball, batch: Batch, x_adv: Tensor) -> Tensor:
        """Which images (B, C, H, W) are out of the ball, (B,) bool."""
        x = batch.x.double()
        rounding = torch.finfo(torch.float32).eps * x.abs().amax().clamp_min(1)
        # l0 counts entries, which rounding does not change
        length = size(rounding.expand_as(x[:1]), ball.norm).item() if ORDERS[ball.norm] else 0.0
        return ~ball.contains(x_adv.double(), x, self.slack * ball.eps + length)
