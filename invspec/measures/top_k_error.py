"""Share of images whose label is not among the first guesses."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure
from invspec.kinds.measure import Bound
from invspec.ops.modules import device_of
from invspec.ops.types import SHARES, Range
from invspec.scoring.rows import share

# images per forward pass
BATCH_SIZE = 128


class TopKError(Measure):
    """Share of attacked images whose label is not among the k largest logits.

    With attack `identity` this is the error on clean images, as in tables for ImageNet (k 1 and 5)
    and MNIST. A label is in the top k if fewer than k other logits are as large as its own, or
    larger: ties count against the net, and so do logits that are NaN. The logits are recomputed in
    float32.
    """

    k: int = Field(default=1, ge=1, description="number of guesses, k")

    @property
    def bound(self) -> Bound:
        return "lower"

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    @torch.no_grad()
    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,), device = examples, device_of(model)
        missed = [
            self._missed(model(tensors["x_adv"].to(device)), batch.y.to(device)).cpu()
            for batch, tensors in attacked.batches(BATCH_SIZE, "x_adv")
        ]
        return Scored([share(torch.cat(missed), attacked.judged.index)])

    @torch.no_grad()
    def damage(self, model: nn.Module, attacked: Examples) -> Tensor:
        device = device_of(model)
        return torch.cat(
            [
                rivals(model(tensors["x_adv"].to(device)), batch.y.to(device)).cpu()
                for batch, tensors in attacked.batches(BATCH_SIZE, "x_adv")
            ]
        )

    def _missed(self, logits: Tensor, y: Tensor) -> Tensor:
        """Whether each label y (B,) is not among the k largest of logits (B, K)."""
        return rivals(logits, y) >= self.k


def rivals(logits: Tensor, y: Tensor) -> Tensor:
    """The number of other logits (B, K) that are not smaller than that of label y (B,): (B,)."""
    own = logits.gather(1, y[:, None])
    # counts NaN as larger; the label's own logit is not smaller than itself
    return (~(logits < own)).sum(1) - 1
