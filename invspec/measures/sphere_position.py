"""Where attacked points lie relative to two concentric spheres."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Examples, Row, Scored
from invspec.kinds import Measure, Number
from invspec.ops.types import MAGNITUDES, SHARES, Range
from invspec.scoring.pairs import BATCH_SIZE
from invspec.scoring.rows import mean_of_pairs, share_of_pairs


class SpherePosition(Measure):
    """The lengths of attacked points, and the shares that are on either sphere or beyond both.

    A row for each quantity and each class of the source (or example):

        radius      mean length of x_adv
        own_sphere  share with the radius of the sphere on which x is, to within tolerance
        arrived     the same for the other sphere
        beyond      share further out than both spheres, where no data are

    x is on the sphere whose radius is closer to its length. Lengths are those of exact images if
    the attack stored them. Intervals are from a bootstrap over sources, and over shared targets.
    """

    wants_model: ClassVar[bool] = False

    inner: Number = Field(default=1.0, gt=0, description="radius of the inner sphere")
    outer: Number = Field(default=10.0, gt=0, description="radius of the outer sphere")
    tolerance: Number = Field(
        default=1e-3,
        ge=0,
        description="difference from a radius, as a share of it, that is allowed",
    )

    @model_validator(mode="after")
    def _one_in_the_other(self) -> Self:
        if self.inner >= self.outer:
            raise ValueError(f"expected inner < outer, found {self.inner:g} and {self.outer:g}")
        return self

    def range_of(self, quantity: str = "") -> Range:
        return SHARES if quantity in ("own_sphere", "arrived", "beyond") else MAGNITUDES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        before, after = _lengths(attacked)
        is_outer = before > (self.inner + self.outer) / 2
        inner, outer = (self._is_on(radius, after) for radius in (self.inner, self.outer))
        outcomes = {
            "radius": after,
            "own_sphere": torch.where(is_outer, outer, inner),
            "arrived": torch.where(is_outer, inner, outer),
            "beyond": after > self.outer * (1 + self.tolerance),
        }
        judged, rows = attacked.judged, list[Row]()
        for k in judged.y.unique().tolist():
            here = judged.y == k
            units = judged.take(here)
            for name, values in outcomes.items():
                names = {"quantity": name, "source_class": str(k)}
                if name == "radius":
                    rows.append(mean_of_pairs(values[here], units, MAGNITUDES, **names))
                else:
                    rows.append(share_of_pairs(values[here], units, **names))
        return Scored(rows)

    def _is_on(self, radius: float, lengths: Tensor) -> Tensor:
        return (lengths / radius - 1).abs() <= self.tolerance


def _lengths(attacked: Examples) -> tuple[Tensor, Tensor]:
    """The lengths of x and of x_adv, (N,) float64."""
    name = "exact" if attacked.has("exact") else "x_adv"
    parts = [
        torch.stack([x.double().flatten(1).norm(dim=1).cpu() for x in (batch.x, tensors[name])])
        for batch, tensors in attacked.batches(BATCH_SIZE, name)
    ]
    before, after = torch.cat(parts, dim=1)
    return before, after
