"""Whether gradients predict how logits change."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from invspec.data import Finding
from invspec.diagnostics.findings import MISLEADING, at_most, counted
from invspec.diagnostics.gradients import margins, margins_and_slopes
from invspec.diagnostics.image_check import Chosen
from invspec.diagnostics.step_check import StepCheck
from invspec.diagnostics.steps import moved
from invspec.kinds import Attack


class GradientTrue(StepCheck):
    """A short step along the signs of the gradient changes the margin as predicted.

    The prediction is the scalar product of gradient and step. It is wrong where the change is less
    than `least` times or more than `most` times as large, or has the other sign. Of the lengths,
    that with the fewest wrong predictions counts.
    """

    least: float = Field(default=0.5, gt=0, description="least change, relative to the prediction")
    most: float = Field(default=2.0, gt=0, description="largest change, relative to the prediction")
    threshold: float = Field(
        default=0.25, ge=0, lt=1, description="largest share of images with a wrong prediction"
    )

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        batch = chosen.batch
        before, slopes = margins_and_slopes(model, batch.x, batch.y)

        def is_wrong(length: float) -> Tensor:
            x = moved(batch, slopes, length)
            predicted = (slopes * (x - batch.x)).flatten(1).sum(1)
            ratio = (margins(model, x, batch.y) - before) / predicted
            # NaN, where 0 is predicted, is wrong, too
            return ~((ratio >= self.least) & (ratio <= self.most))

        flags = self.fewest(batch, is_wrong)
        return at_most(
            self.threshold,
            flags,
            f"the gradients of {counted(flags)} do not predict how a small step changes the logits",
            MISLEADING,
        )
