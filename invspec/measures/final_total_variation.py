"""How rough the image at the end of a walk is."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.ops.losses import total_variation
from invspec.ops.types import MAGNITUDES, Range
from invspec.scoring.pairs import BATCH_SIZE, PairMeasure, eligible
from invspec.scoring.rows import mean_of_pairs


class FinalTotalVariation(PairMeasure):
    """Mean over pairs of a total variation at the end of a walk, an inverse of image quality.

    It is the sum of absolute differences of neighbouring pixels, divided by the number of pixels
    and channels. of residual is that of the final image minus the target: what the walk leaves of
    its source, and noise. of image is that of the final image itself. The interval is from a
    bootstrap over sources and targets.

    Raises: InvspecError where no pair is eligible.
    """

    # `of` is a key of every measure
    subject: Literal["residual", "image"] = Field(
        default="residual", description="the final image minus the target, or the final image"
    )

    def range_of(self, quantity: str = "") -> Range:
        return MAGNITUDES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        parts = [
            self._roughness(tensors["x_adv"], batch.targets)
            for batch, tensors in attacked.batches(BATCH_SIZE, "x_adv")
        ]
        rows, values = eligible(attacked, self.eligible), torch.cat(parts)
        return Scored([mean_of_pairs(values[rows], attacked.pairs.take(rows), MAGNITUDES)])

    def _roughness(self, x_adv: Tensor, x_target: Tensor) -> Tensor:
        """The total variation (B,) for each pixel and channel."""
        of = x_adv - x_target if self.subject == "residual" else x_adv
        return total_variation(of) / of[0].numel()
