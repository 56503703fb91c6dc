"""A shift from the inner to the outer sphere along the last coordinate."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example


class SphereShift(Attack):
    """Move points of label 0 to the outer sphere of `spheres` along their last coordinate.

    The last coordinate, which a classifier may ignore, becomes sqrt(outer^2 - ||x_{1..d-1}||^2) in
    magnitude and keeps its sign, so that the radius is outer up to rounding; it becomes 0 if the
    other coordinates alone have a norm above outer. Points of other labels stay. This is the
    adversarial distribution shift of Example 6; it depends on the true label, not on a model.

    Needs batch.y. Returns x_adv (B, C, H, W).
    """

    ignores_model: ClassVar[bool] = True

    leaves_bounds: ClassVar[bool] = True

    outer: Number = Field(
        default=10.0,
        gt=0,
        description="radius of the outer sphere of the data set: 1.3 for spheres_gilmer",
    )

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        shifted = self._shifted(batch.x.flatten(1)).view_as(batch.x)
        x_adv = shifted.where(per_example(batch.y == 0, batch.x), batch.x)
        return Perturbed.costing(x_adv, forwards=0, backwards=0)

    def _shifted(self, x: Tensor) -> Tensor:
        """Points x (B, D) with the new last coordinate."""
        # summed in float64, since the two radii may be close
        last = (self.outer**2 - x[:, :-1].double().square().sum(1)).clamp_min(0).sqrt().to(x)
        return torch.cat([x[:, :-1], last.copysign(x[:, -1])[:, None]], dim=1)
