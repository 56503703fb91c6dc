"""Intervals of numbers that are not means: by a jackknife, or from independent draws."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import binom, t
from torch import Tensor

# number of jackknife groups, unless there are fewer examples
GROUPS = 20

# value, low, high
Estimate = tuple[float, float, float]


def jackknife(value: float, without: Sequence[float]) -> Estimate:
    """A number in [0, 1] with its 95 % interval, from its values without each of g groups."""
    g = len(without)
    # the variance is (g - 1) / g times the sum of squares about the mean; np.var divides by g
    error = math.sqrt((g - 1) * float(np.var(without)))
    half = float(t.ppf(0.975, g - 1)) * error
    return value, max(0.0, value - half), min(1.0, value + half)


def mean_and_quantile(draws: Tensor) -> tuple[Estimate, Estimate]:
    """Mean and 95 % quantile of independent draws (R,), each with its 95 % interval."""
    # The mean is taken after sorting, which fixes the order of its sum.
    ordered, count = draws.sort().values, len(draws)
    mean, half = ordered.mean().item(), 1.96 * ordered.std().item() / math.sqrt(count)
    # the order statistics that enclose the 95 % quantile with 95 % probability
    ranks = [int(binom.ppf(q, count, 0.95)) for q in (0.025, 0.975)]
    low, high = (ordered[min(rank, count - 1)].item() for rank in ranks)
    quantile = ordered.quantile(0.95).item()
    return (mean, mean - half, mean + half), (quantile, min(low, quantile), max(high, quantile))
