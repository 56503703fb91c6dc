"""Whether a net computes finite numbers."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from invspec.data import Examples, Finding, Interval
from invspec.kinds import Attack, Check
from invspec.kinds.check import Doubts
from invspec.ops.draws import Draws


class Finite(Check):
    """Compute the logits of every image, and the gradient of their log-sum-exp at the image.

    It fails if a number is infinite or NaN.
    """

    doubts: ClassVar[Doubts] = "everything"

    def examine(
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding:
        bad = torch.cat([_is_bad(model, batch.x) for batch, _ in examples.batches(64)])
        count, n = int(bad.sum()), len(bad)
        share = count / max(n, 1)
        measured = Interval(share, share, share, n)
        if not count:
            return Finding("passes", measured, 0.0)
        reason = f"the logits or gradients of {count} of {n} images are not finite"
        return Finding("fails", measured, 0.0, reason, "look for divisions by 0 and logs of 0")


def _is_bad(model: nn.Module, x: Tensor) -> Tensor:
    """Whether a logit or a part of the gradient of each image is not finite, (B,) bool."""
    x = x.detach().requires_grad_()
    logits = model(x)
    (gradient,) = torch.autograd.grad(logits.logsumexp(1).sum(), x)
    return ~(logits.isfinite().all(1) & gradient.flatten(1).isfinite().all(1))
