"""Quantiles of values that may be infinite, as distances of images that nothing breaks are.

This module does not import torch.
"""

from __future__ import annotations

import numpy as np

from invspec.analysis.estimates import Floats


def quantile(values: Floats, level: float) -> float:
    """What numpy.quantile gives, for values (N,) that may be infinite, too."""
    return float(weighted_quantile(np.sort(values), np.ones((len(values), 1)), level)[0])


def weighted_quantile(values: Floats, weights: Floats, level: float) -> Floats:
    """The quantile of sorted values (N,) under each column of weights (N, M): (M,).

    Interpolates linearly, so that equal weights give what numpy.quantile gives. Next to an infinite
    value it is infinite.
    """
    steps = (weights[1:].astype(np.float64) + weights[:-1]) / 2
    places = np.concatenate([np.zeros_like(steps[:1]), steps.cumsum(axis=0)])
    if len(values) == 1:
        return np.full(weights.shape[1], values[0])
    goal = level * places[-1]
    below = np.clip((places <= goal).sum(axis=0) - 1, 0, len(values) - 2)
    low, high = (np.take_along_axis(places, at[None], axis=0)[0] for at in (below, below + 1))
    share = (goal - low) / (high - low)
    with np.errstate(invalid="ignore"):
        between = values[below] + share * (values[below + 1] - values[below])
    at_end = np.where(share == 0, values[below], values[below + 1])
    return np.where(np.isfinite(between), between, at_end)
