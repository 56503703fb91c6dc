"""The width of an equi-confidence path: confidence on spheres around its vertices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Number
from invspec.ops.draws import PerExample
from invspec.ops.losses import log_odds
from invspec.ops.modules import device_of
from invspec.ops.norms import size, steepest
from invspec.ops.types import MAGNITUDES, SHARES, Bounds, Range
from invspec.scoring.pairs import BATCH_SIZE, PairMeasure, Walks, confidences, eligible, walked
from invspec.scoring.rows import mean_of_pairs
from invspec.search.gradients import input_gradient

Level = Annotated[Number, Field(ge=0, le=1)]
Radius = Annotated[Number, Field(ge=0)]

# names the draws, so that all models and attacks share them
DRAWS = "equiconfidence"


class SphereMeasure(PairMeasure):
    """Base class of measures of spheres around every n-th vertex of a path."""

    radii: tuple[Radius, ...] = Field(
        default=(0, 5, 10, 15, 20, 25, 30), min_length=1, description="radii of the spheres, in l2"
    )
    draws: int = Field(default=256, ge=1, description="points on each sphere")
    every: int = Field(default=10, ge=1, description="steps from one measured vertex to the next")
    orthogonal_to: Literal["gradient", "path"] = Field(
        default="gradient", description="the direction to which the spheres are orthogonal"
    )
    clamp: bool = Field(default=True, description="clamp the points to the pixel range")

    def smoke(self) -> Self:
        """Few draws, for all pairs."""
        return super().smoke().model_copy(update={"draws": min(self.draws, 4)})

    def unit_of(self, name: str) -> str:
        return "l2, pixels in [0, 1]" if name == "radius" else super().unit_of(name)

    def spheres(
        self, model: nn.Module, attacked: Examples, rows: Tensor
    ) -> Iterator[tuple[Walks, Iterator[tuple[Tensor, Tensor]]]]:
        """Each pair that counts, rows (N,) bool, with its vertices (C, H, W) and their draws.

        Draws are unit vectors z (draws, C, H, W), orthogonal to the direction at the vertex. They
        are generated vertex by vertex.
        """
        for walks in walked(attacked, device_of(model), size=1):
            if rows[walks.rows].all():
                yield walks, self._vertices(model, walks)

    def _vertices(self, model: nn.Module, walks: Walks) -> Iterator[tuple[Tensor, Tensor]]:
        path = walks.path[0].clamp(*self.bounds(walks))
        # one source of draws per pair, from which each vertex takes the next ones
        rng = PerExample(DRAWS, walks.batch.index, path.device)
        vertices = path[:: self.every]
        if self.orthogonal_to == "gradient":
            directions = gradients(model, vertices, walks.label)
        else:
            directions = headings(path)[:: self.every]
        for vertex, direction in zip(vertices, directions, strict=True):
            yield vertex, tangents(rng, self.draws, direction)

    def sphere(self, vertex: Tensor, z: Tensor, radius: float, bounds: Bounds) -> Tensor:
        """The points of a sphere around a vertex, within bounds: (M, C, H, W)."""
        # a sphere of radius 0 is a single point
        return (vertex + radius * z[: None if radius else 1]).clamp(*bounds)

    def bounds(self, walks: Walks) -> Bounds:
        """The range to which points are clamped."""
        return walks.batch.bounds if self.clamp else (-torch.inf, torch.inf)

    def vertex_numbers(self, vertices: int) -> range:
        """The number of each measured vertex on its path, the source being 0."""
        return range(0, self.every * vertices, self.every)


class Equiconfidence(SphereMeasure):
    """Quantiles of the confidence in the source's label on spheres around vertices of a path.

    At every n-th vertex, `draws` normal vectors are projected orthogonally to a direction q, scaled
    to each of the radii (the same vectors for all radii), added to the vertex and clamped. q is the
    gradient of the confidence, so that the sphere is in the tangent space of the level set, or the
    direction of the path: of the segment that begins at the vertex or, at the end of the walk, of
    the last segment. If q is 0, nothing is projected out. Clamping shortens the vectors: see
    realised_norm.

    One row for each vertex (numbered from the source, which is 0), radius (l2) and quantile over
    draws: the mean over pairs, with a bootstrap interval over sources.

    Draws depend on the pair and the vertex, not on the model. The cost is V R N forward passes per
    pair, for V vertices, R radii and N draws.

    Deviates: the authors' code removes the direction of the path; orthogonal_to path does so.

    Raises: InvspecError where the attack kept no path, or where no pair is eligible.
    """

    # Version 1 had realised_norm, too, chosen by `statistic`.
    version: ClassVar[int] = 2
    replaced: ClassVar[Mapping[str, str]] = {
        "statistic": "use the measure realised_norm for the lengths after clamping"
    }

    quantiles: tuple[Level, ...] = Field(
        default=(0.05, 0.95), min_length=1, description="quantiles of the confidence over draws"
    )

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows = eligible(attacked, self.eligible)
        quantiles = torch.stack(
            [
                torch.stack([self._around(model, walks, *vertex) for vertex in vertices])
                for walks, vertices in self.spheres(model, attacked, rows)
            ]
        ).cpu()
        places = product(self.vertex_numbers(quantiles.shape[1]), self.radii, self.quantiles)
        pairs = attacked.pairs.take(rows)
        return Scored(
            [
                mean_of_pairs(column, pairs, SHARES, vertex=vertex, radius=radius, quantile=level)
                for column, (vertex, radius, level) in zip(
                    quantiles.flatten(1).unbind(1), places, strict=True
                )
            ]
        )

    def _around(self, model: nn.Module, walks: Walks, vertex: Tensor, z: Tensor) -> Tensor:
        """Quantiles of the confidence around a vertex (C, H, W), for each radius: (R, Q)."""
        levels = torch.tensor(self.quantiles, dtype=torch.float64, device=z.device)
        quantiles: list[Tensor] = []
        for radius in self.radii:
            images = self.sphere(vertex, z, radius, self.bounds(walks))
            label = walks.label.expand(len(images))
            quantiles.append(confidences(model, images, label).double().quantile(levels))
        return torch.stack(quantiles)


class RealisedNorm(SphereMeasure):
    """Mean length, after clamping, of the vectors that equiconfidence adds to each vertex, in l2.

    One row for each vertex (numbered from the source, which is 0) and radius: the mean over pairs,
    with a bootstrap interval over sources.

    Raises: InvspecError where the attack kept no path, or where no pair is eligible.
    """

    def range_of(self, quantity: str = "") -> Range:
        return MAGNITUDES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows = eligible(attacked, self.eligible)
        lengths = torch.stack(
            [
                torch.stack([self._lengths(walks, *vertex) for vertex in vertices])
                for walks, vertices in self.spheres(model, attacked, rows)
            ]
        ).cpu()
        places = product(self.vertex_numbers(lengths.shape[1]), self.radii)
        pairs = attacked.pairs.take(rows)
        return Scored(
            [
                mean_of_pairs(column, pairs, MAGNITUDES, vertex=vertex, radius=radius)
                for column, (vertex, radius) in zip(
                    lengths.flatten(1).unbind(1), places, strict=True
                )
            ]
        )

    def _lengths(self, walks: Walks, vertex: Tensor, z: Tensor) -> Tensor:
        """The mean length for each radius, (R,)."""
        spheres = (self.sphere(vertex, z, radius, self.bounds(walks)) for radius in self.radii)
        return torch.stack([size(points - vertex, "l2").double().mean() for points in spheres])


def gradients(model: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    """Unit directions (M, C, H, W) in which the confidence in one label (1,) changes most.

    They are 0 where the confidence is constant.
    """
    parts = [
        input_gradient(model, log_odds, images, label.expand(len(images)))
        for images in x.split(BATCH_SIZE)
    ]
    return steepest(torch.cat(parts), "l2")


def headings(path: Tensor) -> Tensor:
    """Unit directions (T, C, H, W) of the segments that begin at a path's vertices.

    Where the walk stands still, the direction of the next segment with a length above 0; at its
    end, of the last such segment; 0 for a walk that never moves.
    """
    steps = path.diff(dim=0)
    moving = steps.flatten(1).any(dim=1).nonzero().squeeze(1)
    if not len(moving):
        return torch.zeros_like(path)
    places = torch.arange(len(path), device=path.device)
    # the first segment with a length above 0, at or after each vertex
    segments = torch.searchsorted(moving, places).clamp(max=len(moving) - 1)
    return steepest(steps[moving[segments]], "l2")


def tangents(rng: PerExample, count: int, direction: Tensor) -> Tensor:
    """Random unit vectors (count, C, H, W), orthogonal to a direction (C, H, W), which may be 0."""
    z = rng.normal((1, count, *direction.shape))[0].flatten(1)
    q = direction.flatten()
    # twice, because rounding leaves a component along q after the first pass
    for _ in range(2):
        z = z - torch.outer(z @ q, q)
    return steepest(z.view(count, *direction.shape), "l2")
