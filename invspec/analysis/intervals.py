"""The 95 % interval of each number of a score, from its outcomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from scipy.stats import binom

from invspec.analysis.estimates import Floats
from invspec.analysis.resampling import Integers, Repeats, Resampler
from invspec.data import Interval, Outcomes, Row
from invspec.ops.shares import wilson
from invspec.ops.types import SHARES

RESAMPLER = Resampler()

# rows that are bootstrapped together: this bounds memory
AT_ONCE = 256

Ends = tuple[float, float]


def interval(row: Row) -> Interval:
    """The number of a row with its interval.

    An interval given by the measure is kept. Otherwise the outcomes decide which is computed:

        share, of 0 and 1                  Wilson
        difference of counts -1, 0 and 1   Agresti and Min
        other mean                         Bayesian bootstrap, within the range
        quantile over examples             order statistics
        quantile over pairs of sources     Woodruff, over sources
    """
    return intervals([row])[0]


def intervals(rows: Sequence[Row]) -> list[Interval]:
    """`interval` of many rows at once."""
    numbers = {place: known for place, row in enumerate(rows) if (known := _closed_form(row))}
    others = [place for place in range(len(rows)) if place not in numbers]
    for start in range(0, len(others), AT_ONCE):
        places = others[start : start + AT_ONCE]
        bootstrapped = _bootstrapped([_outcomes(rows[place]) for place in places])
        numbers.update(zip(places, bootstrapped, strict=True))
    return [numbers[place] for place in range(len(rows))]


def _outcomes(row: Row) -> Outcomes:
    assert row.outcomes is not None, "a row without a number"
    return row.outcomes


def _closed_form(row: Row) -> Interval | None:
    """The interval of a row, None if it must be bootstrapped."""
    if row.interval is not None:
        return row.interval
    outcomes = _outcomes(row)
    values = outcomes.values.numpy().astype(np.float64)
    if row.level is not None:
        return _quantile(values, outcomes.index.numpy(), row.level)
    mean = values.mean().item()
    if outcomes.range == SHARES and np.isin(values, (0, 1)).all():
        return Interval(mean, *wilson(mean, len(values)), len(values))
    if outcomes.range == (-1.0, 1.0) and not outcomes.values.is_floating_point():
        return Interval(mean, *agresti_min(values), len(values))
    return None


def _bootstrapped(means: Sequence[Outcomes]) -> list[Interval]:
    numbers = [
        Repeats([outcomes.values], [outcomes.index], [0], range=outcomes.range)
        for outcomes in means
    ]
    return [
        Interval(estimate.point, *estimate.interval(), len(outcomes))
        for outcomes, estimate in zip(means, RESAMPLER.all_means(numbers), strict=True)
    ]


# ─ shares ─────────────────────────────────────────────────────────────────────────────────────


def agresti_min(values: Floats, level: float = 0.95) -> Ends:
    """Interval of the mean of values (N,) of -1, 0 and 1 (Agresti and Min 2005).

    The mean is a difference of paired shares; the interval is Wald's after adding half an example
    to each of the four pairs of answers.
    """
    n, ups, downs = len(values), int((values == 1).sum()), int((values == -1).sum())
    centre = (ups - downs) / (n + 2)
    variance = ((ups + downs + 1) / (n + 2) - centre**2) / (n + 2)
    half = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(variance)
    value = (ups - downs) / n
    return max(-1.0, min(centre - half, value)), min(1.0, max(centre + half, value))


# ─ quantiles ──────────────────────────────────────────────────────────────────────────────────


def _quantile(values: Floats, index: Integers, level: float) -> Interval:
    value, n = float(np.quantile(values, level)), len(np.unique(index))
    ends = order_statistics(values, level) if n == len(values) else woodruff(values, index, level)
    return Interval(value, min(ends[0], value), max(ends[1], value), n)


def order_statistics(values: Floats, level: float) -> Ends:
    """The two of values (N,) that enclose their quantile with a probability of at least 95 %.

    The number of values below a quantile is binomial, whatever their distribution. With too few
    values (fewer than six for a median) the interval is their whole range.
    """
    ordered, n = np.sort(values), len(values)
    first, last = (int(binom.ppf(q, n, level)) for q in (0.025, 0.975))
    return float(ordered[max(first - 1, 0)]), float(ordered[min(last, n - 1)])


def woodruff(values: Floats, source: Integers, level: float) -> Ends:
    """Interval of a quantile of values (P,) over pairs of drawn sources (P,) (Woodruff 1952).

    It maps the interval of the share of pairs below the quantile back to quantiles.
    """
    below = values <= np.quantile(values, level)
    mean, (index, place) = below.mean(), np.unique(source, return_inverse=True)
    # the share of pairs as a mean over sources: see scoring.rows.by_source
    added = np.bincount(place, weights=below - mean) * len(index) / len(values)
    share = _share_over_sources(mean + added, index)
    levels = np.clip([level + share.low - mean, level + share.high - mean], 0, 1)
    low, high = np.quantile(values, levels).tolist()
    return low, high


def _share_over_sources(values: Floats, index: Integers) -> Interval:
    estimate = RESAMPLER.means([values], [index], within=SHARES)
    return Interval(estimate.point, *estimate.interval(), len(index))
