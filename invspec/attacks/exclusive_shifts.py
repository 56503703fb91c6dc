"""The two perturbations of `exclusive_features`, of which robustness to one excludes the other."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field
from torch import nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number
from invspec.ops.contrast import signed
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example


class WeakShift(Attack):
    """Move all weak features of `exclusive_features` to the means of the other class.

    Coordinates 1 to d move by -2 Y alpha / sqrt(d): an linf perturbation that depends on the true
    label, not on a model. Needs batch.y. Returns x_adv (B, C, H, W).
    """

    ignores_model: ClassVar[bool] = True

    alpha: Number = Field(default=2.0, ge=0, description="alpha of the data set")

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        shift = 2 * self.alpha / math.sqrt(max(batch.x[0].numel() - 1, 1))
        x_adv = batch.x - per_example(signed(batch.y).to(batch.x), batch.x) * shift
        x_adv.flatten(1)[:, 0] = batch.x.flatten(1)[:, 0]
        return Perturbed.costing(x_adv.clamp(*batch.bounds), forwards=0, backwards=0)


class StrongFlip(Attack):
    """Negate the strong feature of `exclusive_features`, coordinate 0.

    It moves by 2: an l1 perturbation, the same for every model. Returns x_adv (B, C, H, W).
    """

    ignores_model: ClassVar[bool] = True

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        x_adv = batch.x.clone()
        x_adv.flatten(1)[:, 0] *= -1
        return Perturbed.costing(x_adv.clamp(*batch.bounds), forwards=0, backwards=0)
