"""No attack: clean images."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import Draws


class Identity(Attack):
    """Return every image unchanged, so that measures of attacked images also work on clean ones."""

    ignores_model: ClassVar[bool] = True
    keeps_images: ClassVar[bool] = True

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        return Perturbed.costing(batch.x, forwards=0, backwards=0)
