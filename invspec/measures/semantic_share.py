"""Whether a change of an image is one of its meaning, and which kind of adversarial example it makes."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure, Number
from invspec.ops.norms import size
from invspec.ops.types import Bounds, Norm
from invspec.scoring.preimages import finest, outcome_rows


class SemanticShare(Measure):
    """Share of changes that an oracle o sees, and of both kinds of adversarial examples of a classifier D (Def. 2-4).

    A row for each quantity, a share of all examples:

        semantic                       o(x_adv) != o(x)
        nuisance                       o(x_adv) == o(x)
        invariance_adversarial         o(x_adv) != o(x), and yet D(x_adv) == D(x)
        invariance_adversarial_logits  the same, and even ||F(x_adv) - F(x)|| <= tolerance for the logits F
        perturbation_adversarial       D(x) == o(x) == o(x_adv), and yet D(x_adv) != o(x_adv)
        agreement                      D(x_adv) == o(x_adv)
        oracle_accuracy                o(x) == y: how far the oracle can be trusted

    Where the attack kept exact images, D and F see these, in float64. The oracle sees float32, clipped to the pixels'
    bounds unless clip is false. Intervals are Wilson's; of pairs, which may share a source, they are bootstrapped over
    sources, which n then counts.

    Deviates: Definition 2 lets D be wrong about x already; then nothing has been perturbed, so that it does not count.
    """

    version: ClassVar[int] = 2  # 1 took pairs for independent of each other
    wants_oracle: ClassVar[bool] = True

    norm: Norm = Field(default="l2", description="how logits are compared: l2, linf or l1")
    tolerance: Number = Field(
        default=1e-6, ge=0, description="up to which logits count as equal, in that norm"
    )
    clip: bool = Field(
        default=True, description="bring pixels back within their bounds before the oracle is asked"
    )

    @torch.no_grad()
    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        net, images = finest(model, attacked)
        parts = [
            (*self._labels(net, x, x_adv), *self._believed(attacked, x, x_adv))
            for x, x_adv in images
        ]
        decided, decided_adv, equal, shown, shown_adv = (
            torch.cat(each) for each in zip(*parts, strict=True)
        )
        semantic, y = shown_adv != shown, attacked.judged["y"]
        kept = decided_adv == decided
        outcomes = {
            "semantic": semantic,
            "nuisance": ~semantic,
            "invariance_adversarial": semantic & kept,
            "invariance_adversarial_logits": semantic & kept & equal,
            "perturbation_adversarial": ~semantic & (decided == shown) & ~kept,
            "agreement": decided_adv == shown_adv,
            "oracle_accuracy": shown == y,
        }
        return Scored(outcome_rows(outcomes, attacked))

    def _labels(self, net: nn.Module, x: Tensor, x_adv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """D(x), D(x_adv) and whether the logits are equal, each (B,)."""
        before, after = net(x), net(x_adv)
        equal = size(after - before, self.norm) <= self.tolerance
        return before.argmax(1).cpu(), after.argmax(1).cpu(), equal.cpu()

    def _believed(self, attacked: Examples, x: Tensor, x_adv: Tensor) -> tuple[Tensor, Tensor]:
        """o(x) and o(x_adv), each (B,)."""
        bounds: Bounds = attacked.clean.bounds
        seen = x_adv.clamp(*bounds) if self.clip else x_adv
        return attacked.believed(x.float()).cpu(), attacked.believed(seen.float()).cpu()
