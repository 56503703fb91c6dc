"""Which of several results for an example is the worst: damage, the larger, the worse."""

from __future__ import annotations

import torch
from torch import Tensor

from invspec.data import Judged


def by_label(judged: Judged) -> Tensor:
    """A wrong label is worse than the right one: (N,).

    The most confident wrong label is the worst; of right ones, the least confident.
    """
    return _ranked(~judged.correct_adv, judged)


def by_change(judged: Judged) -> Tensor:
    """A changed label is worse than the same one: (N,); confidences decide as in `by_label`."""
    return _ranked(judged.changed, judged)


def _ranked(harmed: Tensor, judged: Judged) -> Tensor:
    confidence = judged.confidence_adv
    return torch.where(harmed, confidence, -confidence)
