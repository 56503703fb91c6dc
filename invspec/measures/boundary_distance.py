"""The distance from correctly classified examples to the decision boundary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Judged, Scored
from invspec.errors import InvspecError
from invspec.kinds.measure import Bound
from invspec.ops.norms import Metric
from invspec.ops.types import MAGNITUDES, SHARES, Range
from invspec.scoring.among import Among, CountedMeasure, counted
from invspec.scoring.perturbations import distance
from invspec.scoring.rows import mean_distance, quantile, share

METRICS: tuple[Metric, ...] = ("linf", "l2", "l1", "l0")


class BoundaryMeasure(CountedMeasure):
    """Base class of measures of an attack that looks for the nearest adversarial image."""

    wants_model: ClassVar[bool] = False

    among: Among = Field(
        default="correct",
        description="correctly classified examples, or all: the others are at distance 0",
    )


class BoundaryFailures(BoundaryMeasure):
    """Share of correctly classified examples for which the attack found no adversarial image.

    Report it beside boundary_distance, which is infinite where there is one. With `among: all`
    misclassified examples count as found.

    Raises: InvspecError where no example is classified correctly.
    """

    @property
    def bound(self) -> Bound:
        return "upper"

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        judged = examples[0].judged
        judged = judged.take(counted(judged, self.among))
        return Scored([share(~reached(judged), judged.index)])

    def damage(self, model: nn.Module, attacked: Examples) -> Tensor:
        return reached(attacked.judged).double()


class BoundaryDistance(BoundaryMeasure):
    """Mean distance from x to the adversarial image that an attack found.

    Covers the correctly classified examples. One whose label the attack did not change is further
    away than the attack reached: its distance is infinite, and so is the mean. boundary_failures is
    the share of these; failures: omit leaves them out, which makes the mean smaller than it is.
    With `among: all` misclassified examples count too, at distance 0. The measure is only as good
    as the attack: use one that minimises the distance, such as ddn, fmn or deepfool. Norm l0 counts
    entries. The interval is from a bootstrap over examples.

    Raises: InvspecError where no example is classified correctly, where no adversarial image was
    found, and where norm is neither set nor among the attack's settings.
    """

    # Version 1 had all three measures, chosen by `statistic`; 2 left out failures.
    version: ClassVar[int] = 3
    replaced: ClassVar[Mapping[str, str]] = {
        "statistic": "the measures boundary_distance (mean), median_boundary_distance and "
        "boundary_failures replace it"
    }

    norm: Metric | None = Field(
        default=None, description="norm of the distance; default: the attack's"
    )
    failures: Literal["infinite", "omit"] = Field(
        default="infinite", description="examples without an adversarial image: infinite, or omit"
    )

    @property
    def bound(self) -> Bound:
        return "upper"

    def range_of(self, quantity: str = "") -> Range:
        return MAGNITUDES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        distances, index = self.distances(examples[0])
        return Scored([mean_distance(distances, index)])

    def distances(self, attacked: Examples) -> tuple[Tensor, Tensor]:
        """The distances (M,) float64 of the examples that count, and their index (M,)."""
        judged = attacked.judged
        rows = counted(judged, self.among)
        hits = rows & reached(judged)
        if not hits.any():
            raise InvspecError(
                f"the attack found no adversarial image for any of {int(rows.sum())} correctly "
                "classified examples",
                hint="give it more steps, or measure boundary_failures",
            )
        counted_rows = hits if self.failures == "omit" else rows
        lengths = self._lengths(attacked).where(hits, torch.inf)
        return lengths[counted_rows], judged.index[counted_rows]

    def damage(self, model: nn.Module, attacked: Examples) -> Tensor:
        return torch.where(reached(attacked.judged), -self._lengths(attacked), -torch.inf)

    def _lengths(self, attacked: Examples) -> Tensor:
        """The length of each perturbation, (N,) float64."""
        # a misclassified example is at distance 0, whatever the attack did to it
        return distance(attacked, self._norm(attacked)).double() * attacked.judged.correct

    def _norm(self, attacked: Examples) -> Metric:
        norm = self.norm or attacked.settings.get("norm")
        if norm not in METRICS:
            raise InvspecError(
                "the attack has no norm, so the measure needs one",
                hint=f"set norm on the measure: {', '.join(METRICS)}",
            )
        return norm


class MedianBoundaryDistance(BoundaryDistance):
    """Median distance from x to the adversarial image that an attack found.

    Covers the same examples as boundary_distance. The ends of the interval are order statistics
    that enclose the median with a probability of at least 95 %, for any distribution.

    Raises: InvspecError as boundary_distance does.
    """

    # version 1 left out failures; version 2 of the parent class changed the mean only
    version: ClassVar[int] = 2

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        distances, index = self.distances(examples[0])
        return Scored([quantile(distances, index, 0.5)])


def reached(judged: Judged) -> Tensor:
    """Whether each example crossed the boundary, or was beyond it already: (N,) bool."""
    return judged.changed | ~judged.correct
