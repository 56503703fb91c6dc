"""The bookkeeping of attacks that search in several runs and leave alone what an earlier run has fooled."""

from __future__ import annotations

import torch
from torch import Tensor

from invspec.data import Batch, Perturbed
from invspec.search.ball import random_direction as random_direction
from invspec.search.gradients import likeliest_others as likeliest_others


class Survivors:
    """What several runs on one batch have found so far, and which of its examples are not fooled yet.

    logits (B, K) are those of the batch itself: asking for them was every example's first forward pass, and who is
    misclassified already is no survivor. x_adv (B, C, H, W) is, per example, a misclassified image before any other,
    then the one of highest score.
    """

    def __init__(self, batch: Batch, logits: Tensor) -> None:
        self.batch, self.x_adv = batch, batch.x.clone()
        self.fooled = logits.argmax(1) != batch.y
        self.highest = batch.x.new_full((len(batch),), -torch.inf)
        self.forwards, self.backwards = torch.ones_like(batch.y), torch.zeros_like(batch.y)

    @property
    def rows(self) -> Tensor:
        """Their positions in the batch, (M,) int64."""
        return (~self.fooled).nonzero().squeeze(1)

    def asked(self, rows: Tensor, forwards: int | Tensor, backwards: int | Tensor) -> None:
        """The model has seen the examples at rows (M,) so many times more; numbers, or (M,)."""
        self.forwards[rows] += forwards
        self.backwards[rows] += backwards

    def offer(self, rows: Tensor, x_adv: Tensor, score: Tensor, fooled: Tensor) -> None:
        """Keep what is better than what there was: x_adv (M, C, H, W), score (M,) and fooled (M,) bool."""
        score = score.to(self.highest)
        better = fooled | (score > self.highest[rows])
        kept = rows[better]
        self.x_adv[kept], self.highest[kept], self.fooled[kept] = (
            x_adv[better],
            score[better],
            fooled[better],
        )

    def found(self) -> Perturbed:
        """What an attack returns."""
        return Perturbed(self.x_adv, self.forwards, self.backwards)
