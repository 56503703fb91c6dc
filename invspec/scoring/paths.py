"""Positions along a path, and checks of its steps and its confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn

from invspec.ops.types import Bounds
from invspec.scoring.pairs import confidences


def path_positions(vertices: int) -> list[float]:
    """The position t of each vertex of a path, from 0 to 1.

    >>> path_positions(3)
    [0.0, 0.5, 1.0]
    """
    return [k / max(vertices - 1, 1) for k in range(vertices)]


@dataclass(frozen=True)
class PathCheck:
    """What was found on paths (B, T, C, H, W), each field (B,) float64.

    max_step: the longest step, in l2. jump: the length of the first segment if it is a jump, else
    0. min_margin: the least of f(x_i)[label] - (confidence - max_drop) over vertices;
    min_margin_between: the same over interior points of the segments, inf if none was checked.
    outside: the largest distance of a pixel from its range. gap: the largest difference of a pixel
    between the path's ends and the images that they should equal.
    """

    max_step: Tensor
    jump: Tensor
    min_margin: Tensor
    min_margin_between: Tensor
    outside: Tensor
    gap: Tensor

    @classmethod
    def joined(cls, checks: Sequence[Self]) -> Self:
        """The checks of several batches in one, on the CPU."""
        names = [field.name for field in fields(cls)]
        return cls(*(torch.cat([getattr(check, name) for check in checks]).cpu() for name in names))

    def extremes(self) -> dict[str, float]:
        """Extremes over all paths, and the median of their longest steps, by name."""
        numbers = {
            "largest_step": self.max_step.max(),
            "median_step": self.max_step.quantile(0.5),
            "largest_jump": self.jump.max(),
            "least_margin": self.min_margin.min(),
        }
        if self.min_margin_between.isfinite().any():
            numbers["least_margin_between"] = self.min_margin_between.min()
        return {name: value.item() for name, value in numbers.items()}


def verify_path(
    path: Tensor,
    model: nn.Module,
    label: Tensor,
    confidence: Tensor,
    max_drop: float,
    *,
    ends: Tensor | None = None,
    interior: int = 0,
    jumps: bool = False,
    bounds: Bounds = (0.0, 1.0),
) -> PathCheck:
    """Retrace paths (B, T, C, H, W): check each vertex and `interior` points of every segment.

    label (B,) and confidence (B,) are what the model predicts for the sources; ends (B, 2, C, H, W)
    are the images at which the path should begin and end. The model sees pixels clamped to bounds.
    With jumps, the first segment leads from the source to the start of the walk, and counts as a
    jump, not as a step.
    """
    assert path.shape[1] > 1, "a path has a source and an end"
    steps = _lengths(path)
    # a walk that halted repeats its last vertex
    moved = steps > 0
    walk = moved & (torch.arange(steps.shape[1], device=path.device) >= int(jumps))
    vertices = torch.cat([torch.ones_like(moved[:, :1]), moved], dim=1)
    floor = confidence.double() - max_drop
    between = _least_between(model, path, walk, label, bounds, interior)
    return PathCheck(
        max_step=steps.where(walk, 0).amax(1),
        jump=steps[:, 0] * jumps,
        min_margin=_least(model, path, vertices, label, bounds) - floor,
        min_margin_between=between - floor,
        outside=_furthest(path, path.clamp(*bounds)),
        gap=torch.zeros_like(floor) if ends is None else _gap(path, ends, bounds),
    )


def _lengths(path: Tensor) -> Tensor:
    """The length of each segment in l2, (B, T - 1) float64."""
    # segment by segment: all paths in float64 would take twice their memory
    segments = pairwise(path.unbind(1))
    lengths = [(after.double() - before).flatten(1).norm(dim=1) for before, after in segments]
    return torch.stack(lengths, 1)


def _gap(path: Tensor, ends: Tensor, bounds: Bounds) -> Tensor:
    """The largest difference of a pixel between a path's ends and ends (B, 2, C, H, W): (B,)."""
    return _furthest(path[:, [0, -1]].clamp(*bounds), ends.clamp(*bounds))


def _furthest(images: Tensor, others: Tensor) -> Tensor:
    """The largest difference of a pixel, (B,)."""
    return (images - others).abs().flatten(1).amax(1).double()


def _least(
    model: nn.Module, images: Tensor, among: Tensor, label: Tensor, bounds: Bounds
) -> Tensor:
    """The least confidence in label (B,) over images (B, T, C, H, W) that count, among (B, T).

    Returns (B,) float64, inf where no image counts.
    """
    least = torch.full(among.shape, torch.inf, dtype=torch.float64, device=images.device)
    labels = label[:, None].expand_as(among)[among]
    least[among] = confidences(model, images[among].clamp(*bounds), labels).double()
    return least.amin(1)


def _least_between(
    model: nn.Module, path: Tensor, walk: Tensor, label: Tensor, bounds: Bounds, interior: int
) -> Tensor:
    """The least confidence in label (B,) at `interior` points of each segment in walk (B, T - 1).

    Returns (B,) float64, inf where no point counts.
    """
    # one point of every segment at a time: all at once would take `interior` times the memory
    least = [torch.full(label.shape, torch.inf, dtype=torch.float64, device=path.device)]
    for k in range(1, interior + 1):
        points = path[:, :-1].lerp(path[:, 1:], k / (interior + 1))
        least.append(_least(model, points, walk, label, bounds))
    return torch.stack(least).amin(0)
