"""Quantiles over pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from invspec.data import Row
from invspec.scoring.pairs import SHARES, mean_score


def quantile_row(values: Tensor, source: Tensor, level: float) -> Row:
    """A quantile of values (P,) over pairs, with its interval over sources; n counts sources."""
    value = values.quantile(level)
    (below,) = mean_score((values <= value).double(), source, within=SHARES).rows
    levels = torch.tensor(
        [level + below.low - below.value, level + below.high - below.value], dtype=values.dtype
    )
    low, high = values.quantile(levels.clamp(0, 1)).tolist()
    return Row(value.item(), below.n, min(low, value.item()), max(high, value.item()))
