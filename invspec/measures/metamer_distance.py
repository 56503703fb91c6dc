"""Distances of metamers, and of the path to them, from their logit source and nuisance source."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.ops.modules import device_of
from invspec.ops.types import MAGNITUDES, SHARES, Bounds, Range
from invspec.perceptual.distances import Distance, distance
from invspec.scoring.pairs import BATCH_SIZE, DistanceMeasure, Eligible, eligible, walked
from invspec.scoring.paths import path_positions
from invspec.scoring.rows import mean_of_pairs, share_of_pairs


class EndDistanceMeasure(DistanceMeasure):
    """Base class of measures of the distances of images from both ends of their pair."""

    distance: Distance = Field(
        default="rmse", description="between an image and the source or the target of its pair"
    )
    eligible: Eligible = Field(
        default="all", description="pairs of correctly classified sources, or all pairs"
    )
    clip: bool = Field(
        default=False, description="clip to the pixel range first, as LPIPS and SSIM expect"
    )

    def shown(self, images: Tensor, bounds: Bounds) -> Tensor:
        """The images whose distances are measured."""
        return images.clamp(*bounds) if self.clip else images


class MetamerDistance(EndDistanceMeasure):
    """The distances of each pair's final image from its source and its target, and which is closer.

    A row for each quantity: to_source and to_target, means over pairs, and closer_to_target, the
    share of pairs whose final image is closer to the target. Intervals are from a bootstrap over
    sources, and over shared targets.

    Raises: InvspecError where no pair is eligible.
    """

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
            x_adv = self.shown(tensors["x_adv"], batch.bounds)
            columns = [
                between(x_adv.to(device), end.to(device)).double().cpu()
                for end in (batch.x, batch.targets)
            ]
            parts.append(torch.stack(columns, dim=1))
        return torch.cat(parts)


class MetamerPathDistance(EndDistanceMeasure):
    """The distances of the images along the path to a metamer from both of its sources.

    A row for each vertex of the path, t from 0 (the source) to 1 (the metamer), and each quantity,
    to_source and to_target: the mean over pairs. Intervals are from a bootstrap over sources, and
    over shared targets.

    Raises: InvspecError where the attack kept no path, and where no pair is eligible.
    """

    def range_of(self, quantity: str = "") -> Range:
        return MAGNITUDES

    @torch.no_grad()
    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows, between = eligible(attacked, self.eligible), distance(self.distance, model)
        parts: list[Tensor] = []
        for walks in walked(attacked, device_of(model)):
            images = self.shown(walks.path, walks.batch.bounds)
            ends = (walks.x, walks.batch.targets.to(images.device))
            # (B, T, 2): each vertex against the source, and against the target
            columns = [
                torch.stack([between(vertex, end).double() for vertex in images.unbind(1)], dim=1)
                for end in ends
            ]
            parts.append(torch.stack(columns, dim=2).cpu())
        distances, pairs = torch.cat(parts)[rows], attacked.pairs.take(rows)
        return Scored(
            [
                mean_of_pairs(distances[:, place, end], pairs, MAGNITUDES, quantity=name, t=t)
                for place, t in enumerate(path_positions(distances.shape[1]))
                for end, name in enumerate(("to_source", "to_target"))
            ]
        )
