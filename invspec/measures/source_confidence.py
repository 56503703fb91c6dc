"""How much of the confidence in the source's label an attack on pairs left."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from invspec.data import Examples, Scored
from invspec.ops.types import SHARES
from invspec.scoring.pairs import READ, OfPairs, confidences, eligible
from invspec.scoring.rows import mean_of_pairs


class SourceConfidence(OfPairs):
    """Mean probability, at the final image of each pair, of the label that the model gives the source.

    drop: how much less that is than at the source itself. each and index have an entry a source: the mean over its
    targets; the interval is a bootstrap's over sources.

    Raises: InvspecError where no pair is eligible.
    """

    drop: bool = Field(default=False, description="what was lost, instead of what is left")

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        kept, label = eligible(attacked, self.eligible), attacked.judged["prediction"].split(READ)
        batches = (tensors["x_adv"] for _, tensors in attacked.batches(READ, "x_adv"))
        left = torch.cat(
            [confidences(model, x_adv, own) for x_adv, own in zip(batches, label, strict=True)]
        )
        values = attacked.judged["confidence"] - left if self.drop else left
        within = (-1.0, 1.0) if self.drop else SHARES
        return Scored([mean_of_pairs(values[kept], attacked.judged["source"][kept], within)])
