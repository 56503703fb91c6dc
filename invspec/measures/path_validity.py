"""Whether paths keep the promise of their attack: short steps and a limited loss of confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, PathPromise, Scored
from invspec.errors import InvspecError
from invspec.kinds import Confidence, Measure, Number
from invspec.ops.modules import device_of
from invspec.ops.types import MAGNITUDES, REALS, SHARE_DIFFERENCES, SHARES, Range
from invspec.scoring.pairs import Walks, walked
from invspec.scoring.paths import PathCheck, verify_path
from invspec.scoring.rows import exact, share_of_pairs

MARGINS = ("least_margin", "least_margin_between")


class PathValidity(Measure):
    """Retrace the paths of a target walk and check what the attack promises about them.

    A path is valid if it begins at its source and ends at x_adv, no step is longer than step_size
    (in l2), the confidence in the label that the model gives the source is at no vertex more than
    max_drop below that of the source, and the path stays within the pixel range. Fields that are
    set replace what the attack promises. Confidence is computed in float32, so an attack that
    searched in another precision may fail here.

    A row for each quantity:

        paths                  number of paths
        failing                number of paths that are not valid
        failing_between        number below the promised confidence at one of `interior` points of a
                               segment, which the paper does not demand
        jumped                 number whose first segment is a jump from the source to an accepted
                               start; after a refused one the walk begins at the source
        largest_step           maximum over paths of the longest step
        median_step            median over paths of the longest step
        largest_jump           longest jump from a source to a start, 0 if there is none; jumps
                               are not checked against step_size
        least_margin           smallest margin of the confidence above the promised minimum, over
                               all paths; negative if a path loses too much confidence
        least_margin_between   the same over `interior` points
        share_failing          failing / paths, with a bootstrap interval over sources
        share_failing_between  the same for failing_between

    All but the shares describe these paths only; their intervals have no width.

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
        default=1e-6, ge=0, description="allowed rounding error, in pixels and confidence"
    )

    def range_of(self, quantity: str = "") -> Range:
        if not quantity:
            return REALS
        if quantity in MARGINS:
            return SHARE_DIFFERENCES
        return SHARES if quantity.startswith("share_") else MAGNITUDES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        promise = self._promise(attacked.path_promise)
        check = PathCheck.joined(
            [promise.check(walks, model) for walks in walked(attacked, device_of(model))]
        )
        # a margin that is NaN fails, too
        failing, between = promise.invalid(check), ~(check.min_margin_between >= -self.tolerance)
        n, pairs = len(failing), attacked.pairs
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
                share_of_pairs(failing, pairs, quantity="share_failing"),
                share_of_pairs(between, pairs, quantity="share_failing_between"),
            ]
        )

    def _promise(self, own: PathPromise | None) -> Promise:
        if own is None and self.max_drop is None:
            raise InvspecError(
                "the attack sets no max_drop, the confidence that a path may lose",
                hint="set max_drop on the measure, such as max_drop: 0.05",
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
        """Retrace the paths of some pairs."""
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
        """Which paths (B,) are invalid; NaN makes a path invalid."""
        # comparisons with NaN are false
        valid = check.min_margin >= -self.tolerance
        valid &= (check.gap <= self.tolerance) & (check.outside <= self.tolerance)
        if self.step_size is not None:
            valid &= check.max_step <= self.step_size + self.tolerance
        return ~valid
