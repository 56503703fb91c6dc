"""Perturbations and their lengths, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from invspec.data import Examples
from invspec.ops.norms import Metric, size

# images read at a time
BATCH_SIZE = 1024

# dividing by 255 on a GPU may change an unattacked pixel by up to this much
ROUNDING = 1e-6


def distance(attacked: Examples, norm: Metric) -> Tensor:
    """The length of each example's perturbation, (N,)."""
    # these two were computed when the attack was judged
    match norm:
        case "linf":
            return attacked.judged.linf
        case "l2":
            return attacked.judged.l2
        case _:
            return torch.cat([size(delta, norm) for delta in perturbations(attacked)])


def perturbations(attacked: Examples) -> Iterator[Tensor]:
    """x_adv - x (B, C, H, W), batch by batch; 0 where they differ by no more than rounding."""
    for batch, x_adv in zip(
        attacked.clean.batches(BATCH_SIZE), attacked.x_adv.split(BATCH_SIZE), strict=True
    ):
        same = torch.isclose(x_adv, batch.x, rtol=ROUNDING, atol=ROUNDING)
        yield (x_adv - batch.x).masked_fill(same, 0)
