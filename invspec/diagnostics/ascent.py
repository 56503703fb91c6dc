"""Gradient ascent in a ball, to see which images withstand it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from invspec.data import Batch
from invspec.diagnostics.gradients import logits_and_slopes, logits_at
from invspec.search.ball import Ball
from invspec.search.gradients import Objective


def withstand(
    model: nn.Module, batch: Batch, ball: Ball, start: Tensor, steps: int, objective: Objective
) -> Tensor:
    """Which images withstand gradient ascent on an objective in a ball, (B,) bool.

    One run from start (B, C, H, W), with steps of length 2.5 eps / steps. An image leaves when it
    is misclassified, at the start or on the way.
    """
    standing = torch.zeros_like(batch.y, dtype=torch.bool)
    if not len(batch):
        return standing
    rows, x_adv = torch.arange(len(batch), device=batch.x.device), start
    for _ in range(steps):
        logits, slope = logits_and_slopes(model, objective, x_adv, batch.y[rows])
        stay = logits.argmax(1) == batch.y[rows]
        rows, x_adv, slope = rows[stay], x_adv[stay], slope[stay]
        if not len(rows):
            break
        x_adv = ball.step(x_adv, slope, batch.x[rows], 2.5 * ball.eps / steps)
    if len(rows):
        rows = rows[logits_at(model, x_adv).argmax(1) == batch.y[rows]]
    return standing.index_fill(0, rows, True)
