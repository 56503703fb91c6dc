"""Whether gradients predict how logits change."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from invspec.data import Finding
from invspec.diagnostics.findings import MISLEADING, at_most, counted
from invspec.diagnostics.gradients import logits_and_slopes, margins
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.diagnostics.steps import grey_level, moved
from invspec.kinds import Attack
from invspec.ops.losses import margin


class GradientTrue(ImageCheck):
    """A short step along the signs of the gradient changes the margin as predicted.

    The prediction is the scalar product of gradient and step. It is wrong where the change is less
    than `least` times or more than `most` times as large, or has the other sign. Of the lengths,
    that with the fewest wrong predictions counts.
    """

    levels: tuple[float, ...] = Field(
        default=(1.0, 8.0),
        min_length=1,
        description="lengths of steps, in 1/255 of the pixel range",
    )
    least: float = Field(default=0.5, gt=0, description="least change, relative to the prediction")
    most: float = Field(default=2.0, gt=0, description="largest change, relative to the prediction")
    threshold: float = Field(
        default=0.25, ge=0, lt=1, description="largest share of images with a wrong prediction"
    )

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        batch, unit = chosen.batch, grey_level(chosen.batch)
        logits, slopes = logits_and_slopes(model, margin, batch.x, batch.y)
        before = margin(logits, batch.y)

        def is_wrong(level: float) -> Tensor:
            x = moved(batch, slopes, level * unit)
            predicted = (slopes * (x - batch.x)).flatten(1).sum(1)
            ratio = (margins(model, x, batch.y) - before) / predicted
            # NaN, where 0 is predicted, is wrong, too
            return ~((ratio >= self.least) & (ratio <= self.most))

        flags = min(map(is_wrong, self.levels), key=lambda wrong: int(wrong.sum()))
        return at_most(
            self.threshold,
            flags,
            f"the gradients of {counted(flags)} do not predict how a small step changes the logits",
            MISLEADING,
        )
