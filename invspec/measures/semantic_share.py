"""Whether attacks change what images show, and which kinds of adversarial examples result."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Examples, Scored
from invspec.kinds import Measure, Number
from invspec.ops.norms import size
from invspec.ops.types import SHARES, Norm, Range
from invspec.scoring.preimages import finest, outcome_rows


class SemanticShare(Measure):
    """Share of changes that an oracle o sees, and of adversarial examples of a net D (Def. 2-4).

    A row for each quantity, a share of all examples:

        semantic                       o(x_adv) != o(x)
        nuisance                       o(x_adv) == o(x)
        invariance_adversarial         o(x_adv) != o(x), and yet D(x_adv) == D(x)
        invariance_adversarial_logits  the same, and also ||F(x_adv) - F(x)|| <= tolerance for the
                                       logits F
        perturbation_adversarial       D(x) == o(x) == o(x_adv), and yet D(x_adv) != o(x_adv)
        agreement                      D(x_adv) == o(x_adv)
        oracle_accuracy                o(x) == y: how far the oracle can be trusted

    If the attack stored exact images, D and F see these, in float64. The oracle sees float32,
    clipped to the pixel range unless clip is false. Intervals are Wilson's or, for pairs, from a
    bootstrap over sources, which n then counts.

    Deviates: under Definition 2 D may be wrong about x already. Such examples do not count here,
    because the perturbation did not cause the error.
    """

    # Version 1 took pairs to be independent of each other.
    version: ClassVar[int] = 2
    wants_oracle: ClassVar[bool] = True

    norm: Norm = Field(default="l2", description="norm of the difference of logits: l2, linf or l1")
    tolerance: Number = Field(
        default=1e-6, ge=0, description="largest difference of equal logits, in that norm"
    )
    clip: bool = Field(default=True, description="clip what the oracle sees to the pixel range")

    def range_of(self, quantity: str = "") -> Range:
        return SHARES

    @torch.no_grad()
    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        net, images = finest(model, attacked)
        parts = [
            (*self._of_net(net, x, x_adv), *self._of_oracle(attacked, x, x_adv))
            for x, x_adv in images
        ]
        label, label_adv, equal, truth, truth_adv = (
            torch.cat(column) for column in zip(*parts, strict=True)
        )
        semantic, stays = truth_adv != truth, label_adv == label
        outcomes = {
            "semantic": semantic,
            "nuisance": ~semantic,
            "invariance_adversarial": semantic & stays,
            "invariance_adversarial_logits": semantic & stays & equal,
            "perturbation_adversarial": ~semantic & (label == truth) & ~stays,
            "agreement": label_adv == truth_adv,
            "oracle_accuracy": truth == attacked.judged.y,
        }
        return Scored(outcome_rows(outcomes, attacked.judged))

    def _of_net(self, net: nn.Module, x: Tensor, x_adv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """D(x), D(x_adv) and whether the logits are equal, each (B,)."""
        logits, logits_adv = net(x), net(x_adv)
        equal = size(logits_adv - logits, self.norm) <= self.tolerance
        return logits.argmax(1).cpu(), logits_adv.argmax(1).cpu(), equal.cpu()

    def _of_oracle(self, attacked: Examples, x: Tensor, x_adv: Tensor) -> tuple[Tensor, Tensor]:
        """o(x) and o(x_adv), each (B,)."""
        seen = x_adv.clamp(*attacked.clean.bounds) if self.clip else x_adv
        labels = (attacked.oracle_labels(images.float()).cpu() for images in (x, seen))
        return next(labels), next(labels)
