"""Perturbations and their lengths, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from invspec.data import Examples
from invspec.ops.norms import Metric, size

READ = 1024  # images read at a time


ROUNDING = 1e-6  # what a GPU's division by 255 may change in a pixel, which then did not move


def distance(attacked: Examples, norm: Metric) -> Tensor:
    """Length of every example's perturbation, (N,)."""
    if norm in ("linf", "l2"):
        return attacked.judged[norm]
    return torch.cat([size(delta, norm) for delta in perturbations(attacked)])


def perturbations(attacked: Examples) -> Iterator[Tensor]:
    """x_adv - x (B, C, H, W), batch by batch; 0 where they differ by no more than rounding."""
    for batch, x_adv in zip(attacked.clean.batches(READ), attacked.x_adv.split(READ), strict=True):
        same = torch.isclose(x_adv, batch.x, rtol=ROUNDING, atol=ROUNDING)
        yield (x_adv - batch.x).masked_fill(same, 0)
