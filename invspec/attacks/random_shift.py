"""Random shifts, for invariance profiles."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import Draws
from invspec.ops.geometry import Outside, shift


class RandomShift(Attack):
    """Move each image by whole pixels, drawn uniformly from -max_shift to max_shift on each axis.

    The draws depend only on the image and on `draw`, so that all models share them. The model is
    not run. Returns x_adv (B, C, H, W).
    """

    ignores_model: ClassVar[bool] = True

    max_shift: int = Field(
        default=3, ge=0, strict=True, description="largest shift along each axis, in pixels"
    )
    fill: Outside = Field(
        default="zero", description="pixels from outside the image: zero (black), reflect or wrap"
    )
    draw: int = Field(default=0, ge=0, description="index of an independent set of shifts")

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        draws = rng.named(f"random_shift/{self.draw}")
        drawn = draws.integers(2 * self.max_shift + 1, (len(batch), 2)) - self.max_shift
        right, down = drawn.unbind(1)
        x_adv = shift(batch.x, right, down, self.fill)
        return Perturbed.costing(x_adv, forwards=0, backwards=0)
