"""Images that a generator makes, as an attack."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Confidence
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example
from invspec.search.search import Search
from invspec.search.target_walk import confidence_in


class Generated(Attack):
    """Take the image that a generator makes of x and x_target, in one pass.

    Where it loses more than max_drop of the confidence in the label that the model gives x, the
    result is the farthest image on the segment from x to it that does not, of those that
    `bisections` halvings of the segment try, or x itself.

    There is no path from x to its result. As the start of nspgd it gives an amortised walk
    (generated_walk).

    Needs batch.x_target and batch.generated (B, C, H, W). Returns x_adv (B, C, H, W). The pass of
    the generator is not among the passes through the model: see attack_cost.
    """

    needs_float32: ClassVar[bool] = True

    max_drop: Confidence = Field(
        default=0.05, ge=0, le=1, description="largest loss of confidence of the result"
    )
    bisections: int = Field(
        default=4,
        ge=0,
        le=30,
        description="images tried between x and a generated image that loses too much confidence",
    )

    @property
    def gradient_loss(self) -> None:
        return None

    @property
    def wants_target(self) -> bool:
        return True

    @property
    def wants_generator(self) -> bool:
        return True

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search = Search(model, batch)
        logits = search.logits(batch.x)
        search.relabel(logits.argmax(1))
        confidence = confidence_in(logits, search.y)
        x, generated = batch.x, batch.proposals
        # shares of the way: the largest that is known to keep the confidence, the least that is not
        kept, lost = torch.zeros_like(confidence), torch.ones_like(confidence)
        share = torch.ones_like(confidence)
        for _ in range(1 + self.bisections):
            if not len(search):
                break
            keeps = self._keeps(search, between(x, generated, share), confidence)
            kept, lost = torch.where(keeps, share, kept), torch.where(keeps, lost, share)
            staying = search.narrow(kept < 1, between(x, generated, kept))
            if staying is not None:
                x, generated, confidence = x[staying], generated[staying], confidence[staying]
                kept, lost = kept[staying], lost[staying]
            share = (kept + lost) / 2
        return search.result(between(x, generated, kept))

    def _keeps(self, search: Search, x_adv: Tensor, confidence: Tensor) -> Tensor:
        """Whether images (M, C, H, W) lose at most max_drop, (M,) bool; false where it is NaN."""
        return confidence - confidence_in(search.logits(x_adv), search.y) <= self.max_drop


def between(x: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """The images (B, C, H, W) at a share (B,) of the way from x to other, with the ends exact."""
    weight = per_example(share, x)
    inside = torch.where(weight == 1, other, x + weight * (other - x))
    # also where other is not finite
    return torch.where(weight == 0, x, inside)
