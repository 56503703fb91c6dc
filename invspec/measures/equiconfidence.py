"""How wide an equi-confidence path is: confidence on spheres around its vertices."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure, Number
from invspec.ops.draws import PerExample
from invspec.ops.losses import log_odds
from invspec.ops.norms import size, steepest
from invspec.ops.types import REALS, SHARES, Bounds
from invspec.scoring.pairs import (
    READ,
    Eligible,
    Walks,
    confidences,
    device_of,
    eligible,
    walked,
)
from invspec.scoring.rows import mean_of_pairs
from invspec.search.gradients import input_gradient

Level = Annotated[Number, Field(ge=0, le=1)]
Radius = Annotated[Number, Field(ge=0)]
DRAWS = "equiconfidence"  # names the draws, so that all models and attacks share them


class Equiconfidence(Measure):
    """Quantiles of the confidence in the source's label on spheres around every so manieth vertex of a path.

    At each vertex `draws` normal vectors lose their part along a direction q, are scaled to each of the radii (the same
    vectors for all of them), added to the vertex and clamped. q is the gradient of the confidence there, so that the
    sphere lies in the tangent of the level set, or the direction of the path: of the segment that begins at the vertex,
    and from where the walk ended, of its last one. Where q is 0, nothing is removed.

    A row for each vertex (its number, 0 being the source), radius (l2) and quantile over draws: its mean over pairs,
    with a bootstrap interval over sources. Clamping shortens: statistic realised_norm has a row for each vertex and
    radius, the mean length of what was added, in l2. Tensors: confidence (V, R, Q), the rows' values, and realised_norm
    (V, R).

    Draws belong to the pair and to how manieth the vertex is, whatever the model. Costs V R N forward passes a pair.

    Deviates: the authors' code removes the direction of the path; orthogonal_to path does.
    Raises: InvspecError where the attack kept no path, or where no pair is eligible.
    """

    wants_target: ClassVar[bool] = True

    statistic: Literal["quantiles", "realised_norm"] = Field(
        default="quantiles",
        description="of the confidence; or how far the draws went after clamping",
    )
    radii: tuple[Radius, ...] = Field(
        default=(0, 5, 10, 15, 20, 25, 30), min_length=1, description="of the spheres, in l2"
    )
    quantiles: tuple[Level, ...] = Field(
        default=(0.05, 0.95), min_length=1, description="of the confidence over draws"
    )
    draws: int = Field(default=256, ge=1, description="points on each sphere")
    every: int = Field(
        default=10, ge=1, description="from one vertex to the next that is looked at"
    )
    orthogonal_to: Literal["gradient", "path"] = Field(
        default="gradient", description="what the spheres leave out"
    )
    clamp: bool = Field(default=True, description="bring the points back into the pixels' bounds")
    eligible: Eligible = Field(
        default="correct", description="pairs of correctly classified sources, or all pairs"
    )

    def smoke(self) -> Self:
        """Few draws, of all pairs, since a net of one epoch may have none right."""
        few = {"draws": min(self.draws, 4), "eligible": "all"}
        return self.model_copy(update=few)

    def unit_of(self, name: str) -> str:
        return "l2, pixels in [0, 1]" if name == "radius" else super().unit_of(name)

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        kept = eligible(attacked, self.eligible)
        found = list(self._widths(model, attacked, kept))
        confidence, norm = (torch.stack(parts) for parts in zip(*found, strict=True))
        vertices = range(0, self.every * norm.shape[1], self.every)
        if self.statistic == "quantiles":
            names, values, within = ("vertex", "radius", "quantile"), confidence, SHARES
            places = product(vertices, self.radii, self.quantiles)
        else:
            names, values, within = ("vertex", "radius"), norm, REALS
            places = product(vertices, self.radii)
        source = attacked.judged["source"][kept]
        rows = [
            mean_of_pairs(column, source, within, **dict(zip(names, place, strict=True)))
            for column, place in zip(values.flatten(1).unbind(1), places, strict=True)
        ]
        return Scored(
            rows, {"confidence": confidence.mean(0).float(), "realised_norm": norm.mean(0).float()}
        )

    def _widths(
        self, model: nn.Module, attacked: Examples, kept: Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each pair that counts, one by one: confidence (V, R, Q) and realised norm (V, R)."""
        for walks in walked(attacked, device_of(model), size=1):
            if kept[walks.rows].all():
                yield self._width(model, walks)

    def _width(self, model: nn.Module, walks: Walks) -> tuple[Tensor, Tensor]:
        bounds = walks.batch.bounds if self.clamp else (-torch.inf, torch.inf)
        path, rng = (
            walks.path[0].clamp(*bounds),
            PerExample(DRAWS, walks.batch.index, walks.path.device),
        )
        vertices = path[:: self.every]
        if self.orthogonal_to == "gradient":
            away = gradients(model, vertices, walks.label)
        else:
            away = headings(path)[:: self.every]
        confidence, norm = zip(
            *(
                self._around(
                    model, vertex, tangents(rng, self.draws, direction), walks.label, bounds
                )
                for vertex, direction in zip(vertices, away, strict=True)
            ),
            strict=True,
        )
        return torch.stack(confidence).cpu(), torch.stack(norm).cpu()

    def _around(
        self, model: nn.Module, vertex: Tensor, z: Tensor, label: Tensor, bounds: Bounds
    ) -> tuple[Tensor, Tensor]:
        """At a vertex (C, H, W), with unit vectors z (N, C, H, W): confidence (R, Q) and realised norm (R,)."""
        levels = torch.tensor(self.quantiles, dtype=torch.float64, device=z.device)
        confidence: list[Tensor] = []
        norm: list[Tensor] = []
        for radius in self.radii:
            images = (vertex + radius * z[: None if radius else 1]).clamp(
                *bounds
            )  # of radius 0, one is all of them
            confidence.append(
                confidences(model, images, label.expand(len(images))).double().quantile(levels)
            )
            norm.append(size(images - vertex, "l2").double().mean())
        return torch.stack(confidence), torch.stack(norm)


def gradients(model: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    """Unit directions (M, C, H, W) in which the confidence in one label (1,) changes most; 0 where it does not."""
    parts = [
        input_gradient(model, log_odds, images, label.expand(len(images)))
        for images in x.split(READ)
    ]
    return steepest(torch.cat(parts), "l2")


def headings(path: Tensor) -> Tensor:
    """Unit directions (T, C, H, W) of the segments that begin at a path's vertices.

    Where the walk rests, that of the next segment with a length; at its end, that of the last; 0 of one that never
    moves.
    """
    steps = path.diff(dim=0)
    moving = steps.flatten(1).any(dim=1).nonzero().squeeze(1)
    if not len(moving):
        return torch.zeros_like(path)
    places = torch.arange(len(path), device=path.device)
    return steepest(
        steps[moving[torch.searchsorted(moving, places).clamp(max=len(moving) - 1)]], "l2"
    )


def tangents(rng: PerExample, count: int, direction: Tensor) -> Tensor:
    """Random unit vectors (count, C, H, W), orthogonal to a unit direction (C, H, W), or to nothing where that is 0."""
    z = rng.normal((1, count, *direction.shape))[0].flatten(1)
    q = direction.flatten()
    for _ in range(2):  # the second time for what rounding has left of it
        z = z - torch.outer(z @ q, q)
    return steepest(z.view(count, *direction.shape), "l2")
