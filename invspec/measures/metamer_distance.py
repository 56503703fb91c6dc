"""Whether a metamer is closer to its logit source or to its nuisance source."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.ops.modules import device_of
from invspec.ops.types import MAGNITUDES, SHARES, Range
from invspec.perceptual.distances import Distance, distance
from invspec.scoring.pairs import BATCH_SIZE, DistanceMeasure, Eligible, eligible
from invspec.scoring.rows import mean_of_pairs, share_of_pairs


class MetamerDistance(DistanceMeasure):
    """The distances of each pair's final image from its source and its target, and which is closer.

    A row for each quantity: to_source and to_target, means over pairs, and closer_to_target, the
    share of pairs whose final image is closer to the target. Intervals are from a bootstrap over
    sources.

    Raises: InvspecError where no pair is eligible.
    """

    distance: Distance = Field(
        default="rmse", description="between the final image and the source or the target"
    )
    eligible: Eligible = Field(
        default="all", description="pairs of correctly classified sources, or all pairs"
    )
    clip: bool = Field(
        default=False, description="clip to the pixel range first, as LPIPS and SSIM expect"
    )

    def range_of(self, quantity: str = "") -> Range:
        return SHARES if quantity == "closer_to_target" else MAGNITUDES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows = eligible(attacked, self.eligible)
        to_source, to_target = self._distances(model, attacked)[rows].unbind(1)
        pairs = attacked.pairs.take(rows)
        return Scored(
            [
                mean_of_pairs(to_source, pairs, MAGNITUDES, quantity="to_source"),
                mean_of_pairs(to_target, pairs, MAGNITUDES, quantity="to_target"),
                share_of_pairs(to_target < to_source, pairs, quantity="closer_to_target"),
            ]
        )

    @torch.no_grad()
    def _distances(self, model: nn.Module, attacked: Examples) -> Tensor:
        """The distances of each final image from its source and its target, (N, 2) float64."""
        between, device = distance(self.distance, model), device_of(model)
        parts: list[Tensor] = []
        for batch, tensors in attacked.batches(BATCH_SIZE, "x_adv"):
            x_adv = tensors["x_adv"].clamp(*batch.bounds) if self.clip else tensors["x_adv"]
            columns = [
                between(x_adv.to(device), end.to(device)).double().cpu()
                for end in (batch.x, batch.targets)
            ]
            parts.append(torch.stack(columns, dim=1))
        return torch.cat(parts)
