"""The confidence in the source's label that an attack on pairs keeps."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from invspec.data import Examples, Scored
from invspec.ops.types import SHARE_DIFFERENCES, SHARES, Range
from invspec.scoring.pairs import BATCH_SIZE, PairMeasure, confidences, eligible
from invspec.scoring.rows import mean_of_pairs


class SourceConfidence(PairMeasure):
    """Mean probability, at each pair's final image, of the label that the model gives the source.

    The interval is from a bootstrap over sources.

    Raises: InvspecError where no pair is eligible.
    """

    drop: bool = Field(
        default=False, description="measure the drop from the source's confidence instead"
    )

    def range_of(self, quantity: str = "") -> Range:
        return SHARE_DIFFERENCES if self.drop else SHARES

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        rows, pairs = eligible(attacked, self.eligible), attacked.pairs
        batches = (tensors["x_adv"] for _, tensors in attacked.batches(BATCH_SIZE, "x_adv"))
        labels = pairs.prediction.split(BATCH_SIZE)
        final = torch.cat(
            [confidences(model, x_adv, y) for x_adv, y in zip(batches, labels, strict=True)]
        )
        values = pairs.confidence - final if self.drop else final
        return Scored([mean_of_pairs(values[rows], pairs.take(rows), self.range_of())])
