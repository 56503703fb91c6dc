"""Whether the outputs of a net are logits."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from invspec.data import Finding
from invspec.diagnostics.findings import at_most, counted
from invspec.diagnostics.gradients import logits_at
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack


class Logits(ImageCheck):
    """Outputs are logits, not probabilities: rows in [0, 1] that sum to 1.

    Losses apply a softmax of their own. On probabilities it flattens their gradients.
    """

    all_images: ClassVar[bool] = True

    tolerance: float = Field(default=1e-4, gt=0, description="largest difference of a sum from 1")
    threshold: float = Field(
        default=0.5, ge=0, lt=1, description="largest share of images with probabilities"
    )

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        outputs = logits_at(model, chosen.batch.x)
        inside = ((outputs >= 0) & (outputs <= 1)).all(1)
        flags = inside & ((outputs.sum(1) - 1).abs() <= self.tolerance)
        return at_most(
            self.threshold,
            flags,
            f"the outputs of {counted(flags)} are probabilities: in [0, 1], with sum 1",
            "use logits, not probabilities: remove the softmax at the end of the net",
        )
