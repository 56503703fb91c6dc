"""Whether paths keep the promise of their attack: short steps and no loss of confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, PathPromise, Scored
from invspec.errors import InvspecError
from invspec.kinds import Confidence, Measure, Number
from invspec.ops.modules import device_of
from invspec.ops.types import Bounds
from invspec.scoring.pairs import Walks, confidences, walked
from invspec.scoring.rows import exact, share_of_pairs


class PathValidity(Measure):
    """Retrace the paths of a target walk and check what the attack promises about them.

    A path is valid if it begins at its source and ends at x_adv, if no step is longer than
    step_size (in l2), if at no vertex the confidence in the label that the model gives the
    source is more than max_drop below that of the source, and if it stays within the pixel
    range. The attack says what it promises, unless the fields do. Confidence is judged in
    float32, so that an attack that searched in another precision may fail here.

    A row for each quantity:

        paths                  number of paths
        failing                number of paths that are not valid
        failing_between        number below the promised confidence at one of `interior` points of a
                               segment, which the paper does not demand
        jumped                 number whose first segment is a jump, to a start of their own that
                               was accepted; if it was refused, the walk begins at the source
        largest_step           of each path's longest step, over paths
        median_step            the same, the median
        largest_jump           from a source to a start of the walk's own, 0 if there is none; such
                               a path is invalid, whatever its steps
        least_margin           confidence above what was promised, of the worst path; it is
                               negative if a path fails
        least_margin_between   the same over `interior` points
        share_failing          failing / paths, with a bootstrap interval over sources
        share_failing_between  the same for failing_between

    All but the shares describe the paths at hand, so their intervals are the values themselves.

    Raises: InvspecError where the attack kept no path, or where neither it nor the fields name a
    max_drop.
    """

    # Version 1 had no shares beside the numbers.
    version: ClassVar[int] = 2
    replaced: ClassVar[Mapping[str, str]] = {
        "statistic": "every quantity has a row: pick share_failing at <measure>.quantity"
    }
    wants_target: ClassVar[bool] = True

    step_size: Number | None = Field(
        default=None, gt=0, description="longest step allowed; default: the attack's promise"
    )
    max_drop: Confidence | None = Field(
        default=None, ge=0, description="loss of confidence allowed; default: the attack's promise"
    )
    interior: int = Field(default=4, ge=0, description="points to check within each segment")
    tolerance: Number = Field(
        default=1e-6, ge=0, description="rounding that is allowed, in pixels and confidence"
    )

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        promise = self._promise(attacked.path_promise)
        check = PathCheck.joined(
            [promise.check(walks, model) for walks in walked(attacked, device_of(model))]
        )
        # a margin that is NaN fails, too
        failing, between = promise.invalid(check), ~(check.min_margin_between >= -self.tolerance)
        n, source = len(failing), attacked.pairs.source
        numbers = {
            "paths": n,
            "failing": int(failing.sum()),
            "failing_between": int(between.sum()),
            "jumped": int((check.jump > 0).sum()),
            **check.extremes(),
        }
        return Scored(
            [
                *(exact(value, n, quantity=name) for name, value in numbers.items()),
                share_of_pairs(failing, source, quantity="share_failing"),
                share_of_pairs(between, source, quantity="share_failing_between"),
            ]
        )

    def _promise(self, own: PathPromise | None) -> Promise:
        if own is None and self.max_drop is None:
            raise InvspecError(
                "the attack sets no max_drop, the confidence that a path may lose",
                hint="set max_drop of the measure, such as max_drop: 0.05",
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
    """What a path is checked against; step_size None: steps of any length."""

    step_size: float | None
    max_drop: float
    jumps: bool
    interior: int
    tolerance: float

    def check(self, walks: Walks, model: nn.Module) -> PathCheck:
        """Walk the paths of some pairs again."""
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

    def invalid(self, check: PathCheck) -> Tensor:
        """Which paths (B,) are invalid; a number that is not finite makes its path invalid."""
        # comparisons with NaN are false, so it makes the path invalid
        valid = check.min_margin >= -self.tolerance
        valid &= (check.gap <= self.tolerance) & (check.outside <= self.tolerance)
        if self.step_size is not None:
            valid &= check.max_step <= self.step_size + self.tolerance
        return ~valid


@dataclass(frozen=True)
class PathCheck:
    """What paths (B, T, C, H, W) do, one number for each, (B,) float64.

    max_step: the longest step, in l2. jump: the length of the first segment if it is a jump,
    else 0. min_margin: the least of f(x_i)[label] - (confidence - max_drop) over vertices;
    min_margin_between: the same over interior points of the segments, inf if none was checked.
    outside: how far a pixel leaves its range. gap: how far a pixel of the path's ends differs
    from the images that they should be.
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
        """The longest step and the like over all paths, by name."""
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
    """Walk paths (B, T, C, H, W) again: look at each vertex and `interior` points of every segment.

    label (B,) and confidence (B,) are what the model predicts for the sources; ends (B, 2, C,
    H, W) are the source and the image to which the path should lead. The model sees pixels
    within bounds. With jumps, the first segment leads from the source to the start of the walk,
    and is judged apart.
    """
    assert path.shape[1] > 1, "a path has a source and an end"
    steps = _lengths(path)
    # a walk that halted repeats its last vertex
    moved = steps > 0
    walk = moved & (torch.arange(steps.shape[1], device=path.device) >= int(jumps))
    vertices = torch.cat([torch.ones_like(moved[:, :1]), moved], dim=1)
    floor = confidence.double() - max_drop
    between = [torch.full_like(floor, torch.inf)]
    for k in range(1, interior + 1):
        points = path[:, :-1].lerp(path[:, 1:], k / (interior + 1))
        between.append(_least(model, points, walk, label, bounds))
    seen = path.clamp(*bounds)
    gap = torch.zeros_like(floor)
    if ends is not None:
        gap = _furthest(seen[:, [0, -1]], ends.clamp(*bounds))
    return PathCheck(
        max_step=steps.where(walk, 0).amax(1),
        jump=steps[:, 0] * jumps,
        min_margin=_least(model, path, vertices, label, bounds) - floor,
        min_margin_between=torch.stack(between).amin(0) - floor,
        outside=_furthest(path, seen),
        gap=gap,
    )


def _lengths(path: Tensor) -> Tensor:
    """The length of each segment in l2, (B, T - 1) float64."""
    # segment by segment: all paths in float64 would take twice their memory
    segments = pairwise(path.unbind(1))
    lengths = [(after.double() - before).flatten(1).norm(dim=1) for before, after in segments]
    return torch.stack(lengths, 1)


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
