"""How much of the confidence in the source's label an attack on pairs left."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure
from invspec.measures.pairs import READ, SHARES, Eligible, confidences, eligible, mean_score


class SourceConfidence(Measure):
    """Mean probability, at the final image of each pair, of the label that the model gives the source.

    drop: how much less that is than at the source itself. each and index have an entry a source: the mean over its
    targets; the interval is a bootstrap's over sources.

    Raises: InvspecError where no pair is eligible.
    """

    wants_target: ClassVar[bool] = True

    drop: bool = Field(default=False, description="what was lost, instead of what is left")
    eligible: Eligible = Field(default="correct", description="pairs of correctly classified sources, or all pairs")

    def smoke(self) -> Self:
        """Of all pairs, since a net of one epoch may have none right."""
        return self.model_copy(update={"eligible": "all"})

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        kept, label = eligible(attacked, self.eligible), attacked.judged["prediction"].split(READ)
        batches = (tensors["x_adv"] for _, tensors in attacked.batches(READ, "x_adv"))
        left = torch.cat([confidences(model, x_adv, own) for x_adv, own in zip(batches, label, strict=True)])
        values = attacked.judged["confidence"] - left if self.drop else left
        within = (-1.0, 1.0) if self.drop else SHARES
        return mean_score(values[kept].double(), attacked.judged["source"][kept], within=within)
