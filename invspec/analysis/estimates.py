"""Estimates and their arithmetic.

A number in a report is an `Estimate`: its value and R replicates of it. Weights are drawn per
example and deviations of trainings per net, not per number. Numbers measured on the same examples
or nets therefore vary together, and arithmetic on estimates gives paired differences, ratios, areas
and rank correlations.

This module does not import torch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number and its replicates (R,), in which examples and trainings vary.

    In the replicates of fixed, the trainings are those at hand and only examples vary; None if they
    are the replicates themselves. df are the degrees of freedom of the variance between trainings.
    ends are the 95 % interval of a number that has one in closed form. Arithmetic on estimates of
    the same Resampler is paired.
    """

    point: float
    replicates: Floats
    fixed: Floats | None = None
    df: float = math.inf
    ends: tuple[float, float] | None = None

    @property
    def of_these_nets(self) -> Estimate:
        """The number of the trainings at hand, without the chance of training."""
        return self if self.fixed is None else Estimate(self.point, self.fixed)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Percentile interval, widened to include the point.

        Replicates that are NaN (0 / 0) count as -inf at the low end and as inf at the high end.
        """
        if self.ends is not None and level == 0.95:
            return self.ends
        ends = (((1 - level) / 2, -np.inf), ((1 + level) / 2, np.inf))
        low, high = (
            np.quantile(
                np.nan_to_num(self.replicates, nan=worst, posinf=np.inf, neginf=-np.inf),
                q,
                method="nearest",
            )
            for q, worst in ends
        )
        return min(float(low), self.point), max(float(high), self.point)

    def __add__(self, other: Estimate | float) -> Estimate:
        return lift(lambda v: v[0] + v[1], self, other)

    def __sub__(self, other: Estimate | float) -> Estimate:
        return lift(lambda v: v[0] - v[1], self, other)

    def __rsub__(self, other: float) -> Estimate:
        return lift(lambda v: v[1] - v[0], self, other)

    def __mul__(self, other: Estimate | float) -> Estimate:
        return lift(lambda v: v[0] * v[1], self, other)

    def __truediv__(self, other: Estimate | float) -> Estimate:
        """The ratio; inf if only the denominator is 0, NaN if both are."""
        return lift(lambda v: v[0] / v[1], self, other)

    __radd__, __rmul__ = __add__, __mul__


def lift(function: Callable[[Floats], Floats], *parts: Estimate | float) -> Estimate:
    """Apply a function of L numbers, values (L, M) to (M,), to the points and to each replicate."""
    known = [part for part in parts if isinstance(part, Estimate)]
    sizes = {len(part.replicates) for part in known}
    assert len(sizes) == 1, f"estimates of different resamplers, with {sorted(sizes)} replicates"
    (size,) = sizes
    replicates = _applied(function, size, [_replicates(part) for part in parts])
    point = _applied(function, 1, [_point(part) for part in parts])
    fixed = None
    if any(part.fixed is not None for part in known):
        fixed = _applied(function, size, [_fixed(part) for part in parts])
    return Estimate(float(point[0]), replicates, fixed, min(part.df for part in known))


def _applied(
    function: Callable[[Floats], Floats], size: int, columns: Sequence[Floats | float]
) -> Floats:
    values = np.empty((len(columns), size))
    for place, column in enumerate(columns):
        values[place] = column
    with np.errstate(divide="ignore", invalid="ignore"):
        return function(values)


def _point(part: Estimate | float) -> float:
    return part.point if isinstance(part, Estimate) else part


def _replicates(part: Estimate | float) -> Floats | float:
    return part.replicates if isinstance(part, Estimate) else part


def _fixed(part: Estimate | float) -> Floats | float:
    if not isinstance(part, Estimate):
        return part
    return part.replicates if part.fixed is None else part.fixed


def least(estimates: Sequence[Estimate | float]) -> Estimate:
    """The smallest of several numbers."""
    return lift(lambda v: v.min(axis=0), *estimates)


def greatest(estimates: Sequence[Estimate | float]) -> Estimate:
    """The largest of several numbers."""
    return lift(lambda v: v.max(axis=0), *estimates)


def magnitude(estimates: Sequence[Estimate | float]) -> Estimate:
    """The largest absolute value of several numbers."""
    return lift(lambda v: np.abs(v).max(axis=0), *estimates)


def average(estimates: Sequence[Estimate | float]) -> Estimate:
    """The mean of several numbers."""
    return lift(lambda v: v.mean(axis=0), *estimates)


def area(estimates: Sequence[Estimate | float], at: Sequence[float]) -> Estimate:
    """Mean height of the profile through (at, estimates).

    That is the area under it by the trapezoid rule, divided by its width.
    """
    order = np.argsort(at)
    widths = np.diff(np.asarray(at, dtype=float)[order])
    assert widths.sum() > 0, f"a profile needs two different positions, got {list(at)}"
    return lift(
        lambda v: widths @ ((v[1:] + v[:-1]) / 2) / widths.sum(), *(estimates[i] for i in order)
    )


def spearman(first: Sequence[Estimate | float], second: Sequence[Estimate | float]) -> Estimate:
    """Rank correlation of numbers with as many others; 0 if either are constant.

    Ties have their mean rank. Positions on an axis are plain numbers.
    """

    def correlation(values: Floats) -> Floats:
        x, y = map(_centred_ranks, np.split(values, 2))
        size = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
        return np.where(size == 0, 0, (x * y).sum(axis=0) / np.where(size == 0, 1, size))

    return lift(correlation, *first, *second)


def _centred_ranks(values: Floats) -> Floats:
    """Twice the centred ranks within each column of (L, M).

    That is how many values are smaller, minus how many are larger.
    """
    ranks, sizes = np.zeros(values.shape), np.abs(values)
    for first, second in itertools.combinations(range(len(values)), 2):
        gap = values[first] - values[second]
        # replicates carry the rounding of float32 sums; equal infinities are tied, NaN never is
        close = np.abs(gap) <= 1e-9 + 1e-6 * np.minimum(sizes[first], sizes[second])
        tied = (close & np.isfinite(gap)) | (values[first] == values[second])
        sign = np.where(tied, 0, np.sign(gap))
        ranks[first] += sign
        ranks[second] -= sign
    return ranks
