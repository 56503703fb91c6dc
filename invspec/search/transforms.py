"""The choice among transforms that were tried."""

from __future__ import annotations

import torch
from torch import Tensor


def worst(loss: Tensor, fooled: Tensor) -> Tensor:
    """Index (B,) of the transform of largest loss (B, T) among those that fool, or among all."""
    eligible = fooled | ~fooled.any(1, keepdim=True)
    return loss.masked_fill(~eligible, -torch.inf).argmax(1)
