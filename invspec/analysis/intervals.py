"""The 95 % interval of each number of a score, from its outcomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from invspec.analysis.estimates import Floats
from invspec.analysis.quantiles import quantile
from invspec.analysis.repeats import Integers, Repeats
from invspec.analysis.resampling import Resampler
from invspec.data import Interval, Outcomes, Row
from invspec.ops.shares import wilson
from invspec.ops.types import SHARE_DIFFERENCES, SHARES

RESAMPLER = Resampler()

# rows that are bootstrapped together: this bounds memory
AT_ONCE = 256

Ends = tuple[float, float]


def interval(row: Row) -> Interval:
    """The number of a row with its interval.

    An interval given by the measure is kept. Otherwise the outcomes decide which is computed:

        share of examples                  Wilson
        difference of counts -1, 0 and 1   Agresti and Min
        other mean                         Bayesian bootstrap, within the range
        quantile over examples             order statistics
        quantile over pairs                Woodruff, over sources and targets
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
    if row.level is not None:
        return _quantile(outcomes, row.level)
    if outcomes.values.is_floating_point():
        return None
    values = outcomes.values.numpy().astype(np.float64)
    mean = values.mean().item()
    if outcomes.range == SHARES:
        return Interval(mean, *wilson(mean, len(values)), len(values))
    if outcomes.range == SHARE_DIFFERENCES:
        return Interval(mean, *agresti_min(values), len(values))
    return None


def repeats(seeds: Sequence[Outcomes], name: int = 0, level: float | None = None) -> Repeats:
    """The outcomes of one number, measured once per training seed."""
    second = [outcomes.second for outcomes in seeds if outcomes.second is not None]
    return Repeats(
        [outcomes.values for outcomes in seeds],
        [outcomes.index for outcomes in seeds],
        name,
        seeds[0].range,
        level,
        repeats(second, name, level) if len(second) == len(seeds) else None,
    )


def _bootstrapped(means: Sequence[Outcomes]) -> list[Interval]:
    numbers = [repeats([outcomes]) for outcomes in means]
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


def _quantile(outcomes: Outcomes, level: float) -> Interval:
    values = outcomes.values.numpy().astype(np.float64)
    value, n = quantile(values, level), len(outcomes.index.unique())
    units = [outcomes.index, *([] if outcomes.second is None else [outcomes.second.index])]
    if n == len(values) and len(units) == 1:
        ends = order_statistics(values, level)
    else:
        ends = woodruff(values, [unit.numpy() for unit in units], level)
    return Interval(value, min(ends[0], value), max(ends[1], value), n)


def order_statistics(values: Floats, level: float) -> Ends:
    """The two of values (N,) that enclose their quantile with a probability of at least 95 %.

    The number of values below a quantile is binomial, whatever their distribution. With too few
    values (fewer than six for a median) the interval is their whole range.
    """
    # scipy.stats is slow to import, and few numbers are quantiles.
    from scipy.stats import binom

    ordered, n = np.sort(values), len(values)
    first, last = (int(binom.ppf(q, n, level)) for q in (0.025, 0.975))
    return float(ordered[max(first - 1, 0)]), float(ordered[min(last, n - 1)])


def woodruff(values: Floats, units: Sequence[Integers], level: float) -> Ends:
    """Interval of a quantile of values (P,) over pairs of drawn units, each (P,) (Woodruff 1952).

    It maps the interval of the share of pairs below the quantile back to quantiles.
    """
    below = values <= quantile(values, level)
    arms = np.array([_arms_of_share(below, unit) for unit in units])
    lower, upper = np.sqrt((arms**2).sum(axis=0))
    levels = np.clip([level - lower, level + upper], 0, 1)
    low, high = (quantile(values, float(end)) for end in levels)
    return low, high


def _arms_of_share(below: NDArray[np.bool_], unit: Integers) -> tuple[float, float]:
    """How far the interval of a share (P,) over units (P,) reaches below and above it."""
    mean, (index, place) = below.mean(), np.unique(unit, return_inverse=True)
    # the share of pairs as a mean over units: see scoring.rows.by_source
    added = np.bincount(place, weights=below - mean) * len(index) / len(below)
    estimate = RESAMPLER.means([mean + added], [index], within=SHARES)
    low, high = estimate.interval()
    return estimate.point - low, high - estimate.point
