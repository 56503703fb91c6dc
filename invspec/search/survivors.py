"""The bookkeeping of attacks that search in several runs and leave alone what an earlier run has fooled."""

from __future__ import annotations

import torch
from torch import Tensor

from invspec.data import Batch, Perturbed
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example, size
from invspec.ops.types import Norm


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


def likeliest_others(logits: Tensor, y: Tensor, count: int) -> Tensor:
    """The classes other than y with the largest logits, the largest first: (B, min(count, K - 1)) int64."""
    ranked = logits.scatter(1, y.unsqueeze(1), -torch.inf).argsort(
        dim=1, descending=True, stable=True
    )
    return ranked[:, : min(count, logits.shape[1] - 1)]


def random_direction(x: Tensor, norm: Norm, rng: Draws) -> Tensor:
    """Noise of length 1 in the norm and of the shape of x: linf, a scaled uniform draw; else isotropic."""
    shape = tuple(x.shape)
    noise = (2 * rng.uniform(shape) - 1 if norm == "linf" else rng.normal(shape)).to(x)
    return noise / per_example(size(noise, norm), noise)
