"""A spatial perturbation of `exclusive_features` that excludes robustness to a shift."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number
from invspec.ops.contrast import signed
from invspec.ops.draws import Draws


class StrongSwap(Attack):
    """Swap the strong feature of `exclusive_features` with a weak one that looks like it.

    A small rotation and translation moves pixel 0 to the place of one of its nearest ones: here
    coordinates 1 to `reach`. Its new value shall be distributed as the strong feature of the other
    class, so the weak feature is drawn with a chance in proportion to the density of this at its
    value, over its own density. If `reach` is large, points of one class after the swap are hard to
    tell from those of the other after `weak_shift`. The weak feature that is most against the
    class would give the swap away, because its value is too large for a strong one.

    Depends on the true label, not on a model. The draws depend only on the image, so that all
    models share them. Needs batch.y, and deviation > 0 in the data set. If there are fewer than
    `reach` weak features, any can be drawn. Returns x_adv (B, C, H, W), whose coordinates are those
    of batch.x in another order.

    Deviates: the rule that chooses the weak feature is ours.
    """

    ignores_model: ClassVar[bool] = True

    reach: int = Field(
        default=49,
        ge=1,
        description="how many weak features may be swapped; 49 are about three pixels each way",
    )
    p: float = Field(default=0.95, ge=0.5, le=1, description="p of the data set")
    alpha: Number = Field(default=2.0, ge=0, description="alpha of the data set")
    deviation: Number = Field(default=0.5, gt=0, description="deviation of the data set")

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        x = batch.x.flatten(1)
        chances = self.chances(x, batch.y)
        drawn = rng.named("strong_swap").uniform((len(x), 1)).to(chances)
        # the last sum can be less than 1 by rounding
        place = (chances.cumsum(1) <= drawn).sum(1, keepdim=True).clamp_max(chances.shape[1] - 1)
        x_adv = x.scatter(1, place + 1, x[:, :1])
        x_adv[:, :1] = x.gather(1, place + 1)
        return Perturbed.costing(x_adv.view_as(batch.x), forwards=0, backwards=0)

    def chances(self, x: Tensor, y: Tensor) -> Tensor:
        """With which probability each weak feature within reach is drawn.

        x (B, D) and labels y (B,) to (B, min(reach, D - 1)), whose rows sum to 1.
        """
        weak, y = x[:, 1 : self.reach + 1], signed(y).to(x)[:, None]
        own = _log_density(weak, y * self.alpha / math.sqrt(x.shape[1] - 1), 1)
        agrees = math.log(1 - self.p) if self.p < 1 else -math.inf
        strong = torch.logaddexp(
            math.log(self.p) + _log_density(weak, -y, self.deviation),
            agrees + _log_density(weak, y, self.deviation),
        )
        return (strong - own).softmax(1)


def _log_density(x: Tensor, mean: Tensor, deviation: float) -> Tensor:
    """Log-density of a Gaussian, up to a constant."""
    return -(((x - mean) / deviation) ** 2) / 2
