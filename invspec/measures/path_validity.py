"""Whether returned paths keep what their attack promises: short steps and no loss of confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, PathPromise, Scored
from invspec.errors import InvspecError
from invspec.kinds import Confidence, Measure, Number
from invspec.ops.types import Bounds
from invspec.scoring.pairs import Walks, confidences, device_of, walked
from invspec.scoring.rows import exact, share_of_pairs


class PathValidity(Measure):
    """Whether the paths of an attack that walks are what it promises, by a walk of its own along them.

    A path is valid if it begins at its source and ends at x_adv, if no step is longer than step_size (in l2), if at no
    vertex the confidence in the label that the model gives the source is below the source's less max_drop, and if it
    stays within the pixels' bounds. The attack's settings say what is promised, unless the fields say otherwise; steps
    of step_mode fraction have no longest length. Confidence is that of the float32 judgement, so that an attack that
    searched in another precision may fail here.

    statistic summary has a row for each quantity:

        paths                 number of paths
        failing               of them, not valid
        failing_between       below the promised confidence at one of `interior` points of a segment, which the paper
                              does not demand
        jumped                whose first segment is a jump: a start of their own that was accepted. Where it was
                              refused, the walk is one from the source
        largest_step, median_step    of each path's longest step, over paths
        largest_jump          from source to start, where the walk has a start of its own; such a path is no unbroken
                              one, whatever its steps (0: none has)
        least_margin, least_margin_between    confidence above what was promised, of the worst path; negative: below

    These describe the paths at hand, all of them, so that their intervals are the values themselves. failing and
    failing_between alone are one number, a share, with its bootstrap over sources and each and index for claims.

    Raises: InvspecError where the attack kept no path, or where neither it nor the fields name a max_drop.
    """

    wants_target: ClassVar[bool] = True

    statistic: Literal["summary", "failing", "failing_between"] = Field(
        default="summary", description="a row a quantity, or one share"
    )
    step_size: Number | None = Field(
        default=None,
        gt=0,
        description="longest step allowed; default: the attack's, none for step_mode fraction",
    )
    max_drop: Confidence | None = Field(
        default=None, ge=0, description="loss of confidence; default: the attack's"
    )
    interior: int = Field(default=4, ge=0, description="points looked at within each segment")
    tolerance: Number = Field(
        default=1e-6, ge=0, description="rounding that is forgiven, in pixels and confidence"
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        promise = self._promise(attacked.path_promise)
        check = PathCheck.joined(
            [promise.check(walks, model) for walks in walked(attacked, device_of(model))]
        )
        failing, between = promise.broken(check), ~(check.min_margin_between >= -self.tolerance)
        if self.statistic != "summary":
            wrong = failing if self.statistic == "failing" else between
            return Scored([share_of_pairs(wrong, attacked.judged["source"])])
        n = len(failing)
        counted = {"failing": failing, "failing_between": between, "jumped": check.jump > 0}
        found = (
            {"paths": n}
            | {name: int(which.sum()) for name, which in counted.items()}
            | check.extremes()
        )
        return Scored([exact(value, n, quantity=name) for name, value in found.items()])

    def _promise(self, own: PathPromise | None) -> Promise:
        if own is None and self.max_drop is None:
            raise InvspecError(
                "the attack does not say how much confidence a path may lose",
                hint="say max_drop: 0.05",
            )
        own = own or PathPromise(max_drop=0.0, longest_step=None, jumps=False)
        return Promise(
            step_size=self.step_size or own.longest_step,
            max_drop=own.max_drop if self.max_drop is None else self.max_drop,
            jumps=own.jumps,
            interior=self.interior,
            tolerance=self.tolerance,
        )


@dataclass(frozen=True)
class Promise:
    """What a path is held to; step_size None: steps of any length."""

    step_size: float | None
    max_drop: float
    jumps: bool
    interior: int
    tolerance: float

    def check(self, walks: Walks, model: nn.Module) -> PathCheck:
        """Walk some pairs' paths again."""
        return verify_path(
            walks.path,
            model,
            walks.label,
            walks.confidence,
            self.max_drop,
            ends=torch.stack([walks.x, walks.x_adv], dim=1),
            interior=self.interior,
            jumps=self.jumps,
            bounds=walks.batch.bounds,
        )

    def broken(self, check: PathCheck) -> Tensor:
        """Which paths (B,) are not valid; a number that is not finite is not."""
        kept = check.min_margin >= -self.tolerance
        kept &= (check.gap <= self.tolerance) & (check.outside <= self.tolerance)
        if self.step_size is not None:
            kept &= check.max_step <= self.step_size + self.tolerance
        return ~kept


@dataclass(frozen=True)
class PathCheck:
    """What paths (B, T, C, H, W) do, a number each, (B,) float64.

    max_step: the longest step, in l2. jump: the length of the first step where that is no walk, else 0. min_margin: the
    least of f(x_i)[label] - (confidence - max_drop) over vertices; min_margin_between: the same over interior points of
    the segments, inf where none was looked at. outside: by how much a pixel leaves its bounds. gap: by how much a pixel
    of the path's ends differs from the images that they should be.
    """

    max_step: Tensor
    jump: Tensor
    min_margin: Tensor
    min_margin_between: Tensor
    outside: Tensor
    gap: Tensor

    @classmethod
    def joined(cls, checks: Sequence[Self]) -> Self:
        """One behind the other, on the CPU."""
        return cls(
            *(
                torch.cat([getattr(one, field.name) for one in checks]).cpu()
                for field in fields(cls)
            )
        )

    def extremes(self) -> dict[str, float]:
        """The longest step and the like over all paths, by name."""
        found = {"largest_step": self.max_step.max(), "median_step": self.max_step.quantile(0.5)}
        found |= {"largest_jump": self.jump.max(), "least_margin": self.min_margin.min()}
        if self.min_margin_between.isfinite().any():
            found["least_margin_between"] = self.min_margin_between.min()
        return {name: value.item() for name, value in found.items()}


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
    """Walk paths (B, T, C, H, W) again, and look at each vertex, and at `interior` points of every segment.

    label (B,) and confidence (B,) are what the model predicts for the sources, ends (B, 2, C, H, W) the source and the
    image that the path should lead to. The model sees pixels within bounds. jumps: the first segment leads from the
    source to where the walk starts, and is judged apart.
    """
    assert path.shape[1] > 1, "a path has a source and an end"
    steps = _lengths(path)
    moved = steps > 0  # a walk that halted repeats its last vertex
    walk = moved & (torch.arange(steps.shape[1], device=path.device) >= int(jumps))
    vertices = torch.cat([torch.ones_like(moved[:, :1]), moved], dim=1)
    floor = confidence.double() - max_drop
    between = [torch.full_like(floor, torch.inf)]
    for k in range(1, interior + 1):
        points = path[:, :-1].lerp(path[:, 1:], k / (interior + 1))
        between.append(_least(model, points, walk, label, bounds))
    seen = path.clamp(*bounds)
    return PathCheck(
        max_step=steps.where(walk, 0).amax(1),
        jump=steps[:, 0] * jumps,
        min_margin=_least(model, path, vertices, label, bounds) - floor,
        min_margin_between=torch.stack(between).amin(0) - floor,
        outside=_furthest(path, seen),
        gap=_furthest(seen[:, [0, -1]], ends.clamp(*bounds))
        if ends is not None
        else torch.zeros_like(floor),
    )


def _lengths(path: Tensor) -> Tensor:
    """Of each segment in l2, (B, T - 1) float64."""
    return torch.stack(
        [
            (after.double() - before).flatten(1).norm(dim=1)
            for before, after in pairwise(path.unbind(1))
        ],
        1,
    )


def _furthest(images: Tensor, others: Tensor) -> Tensor:
    """The largest difference of a pixel, (B,)."""
    return (images - others).abs().flatten(1).amax(1).double()


def _least(
    model: nn.Module, images: Tensor, among: Tensor, label: Tensor, bounds: Bounds
) -> Tensor:
    """The least confidence in label (B,) among some (B, T) of the images (B, T, C, H, W), inf of none: (B,) float64."""
    found = torch.full(among.shape, torch.inf, dtype=torch.float64, device=images.device)
    labels = label[:, None].expand_as(among)[among]
    found[among] = confidences(model, images[among].clamp(*bounds), labels).double()
    return found.amin(1)
