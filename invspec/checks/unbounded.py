"""Whether an attack without a bound succeeds."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from invspec.data import Finding
from invspec.diagnostics.ascent import withstand
from invspec.diagnostics.findings import MISLEADING, at_most, counted, skipped
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.diagnostics.steps import has_box
from invspec.kinds import Attack
from invspec.ops.losses import margin
from invspec.search.ball import Ball


class Unbounded(ImageCheck):
    """Gradient ascent on the margin breaks every image if all valid images are allowed."""

    steps: int = Field(default=40, ge=1, description="number of updates")
    threshold: float = Field(
        default=0.01, ge=0, lt=1, description="largest share of images that withstand it"
    )

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        low, high = bounds = chosen.batch.bounds
        if not has_box(bounds):
            return skipped("pixels have no bounds")
        ball = Ball("linf", high - low, bounds)
        flags = withstand(model, chosen.batch, ball, chosen.batch.x, self.steps, margin)
        return at_most(
            self.threshold,
            flags,
            f"{counted(flags)} withstand gradient ascent, although it may reach every valid image",
            MISLEADING,
        )
