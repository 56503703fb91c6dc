"""Which of the two images that it is made of a metamer is nearer to."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.perceptual.distances import Distance, distance
from invspec.scoring.pairs import (
    READ,
    ByDistance,
    Eligible,
    device_of,
    eligible,
)
from invspec.scoring.rows import mean_of_pairs, share_of_pairs


class MetamerDistance(ByDistance):
    """Distance of each pair's final image from its source and from its target, and which of them is the nearer one.

    A row for each quantity: to_source and to_target, means over pairs, and closer_to_target, the share of pairs whose
    final image is nearer to the target. The intervals are bootstrapped over sources, which n counts.

    Raises: InvspecError where no pair is eligible.
    """

    distance: Distance = Field(default="rmse", description="between the final image and either end")
    eligible: Eligible = Field(
        default="all", description="pairs of correctly classified sources, or all pairs"
    )
    clip: bool = Field(
        default=False,
        description="bring pixels back within their bounds first, as LPIPS wants them and SSIM",
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        kept = eligible(attacked, self.eligible)
        to_source, to_target = self._distances(model, attacked)[kept].unbind(1)
        source = attacked.judged["source"][kept]
        lengths = (0.0, math.inf)
        return Scored(
            [
                mean_of_pairs(to_source, source, lengths, quantity="to_source"),
                mean_of_pairs(to_target, source, lengths, quantity="to_target"),
                share_of_pairs(to_target < to_source, source, quantity="closer_to_target"),
            ]
        )

    @torch.no_grad()
    def _distances(self, model: nn.Module, attacked: Examples) -> Tensor:
        """Of every pair's final image from its source and its target, (N, 2) float64."""
        between, device = distance(self.distance, model), device_of(model)
        found: list[Tensor] = []
        for batch, tensors in attacked.batches(READ, "x_adv"):
            x_adv = tensors["x_adv"].clamp(*batch.bounds) if self.clip else tensors["x_adv"]
            ends = (between(x_adv.to(device), end.to(device)) for end in (batch.x, batch.targets))
            found.append(torch.stack([each.double().cpu() for each in ends], dim=1))
        return torch.cat(found)
