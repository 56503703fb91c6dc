"""p-values of verdicts, Holm's correction over a report, and what would decide a claim."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from invspec.analysis.estimates import Estimate, Floats

LEVEL = 0.05
Bound = tuple[float, float]

# projections beyond this are of no use to anyone
_MANY_SEEDS, _MANY_IMAGES = 100, 10_000_000


@dataclass(frozen=True)
class Spread:
    """The standard errors of an estimate: from its examples, and from its trainings.

    df are the degrees of freedom of the latter.
    """

    examples: float
    trainings: float
    df: float

    @property
    def total_df(self) -> float:
        """The degrees of freedom of both together (Satterthwaite 1946)."""
        if not self.trainings:
            return math.inf
        return self.df * (1 + (self.examples / self.trainings) ** 2) ** 2


def spread(estimate: Estimate) -> Spread:
    """The standard errors of an estimate, from the middle 68 % of its replicates."""
    one_sigma = float(stdtr(math.inf, 1))
    if estimate.fixed is None:
        return Spread(_half_width(estimate.replicates, one_sigma), 0.0, math.inf)
    with np.errstate(invalid="ignore"):
        trainings = _half_width(estimate.replicates - estimate.fixed, one_sigma)
    # replicates of trainings are t-distributed
    return Spread(
        _half_width(estimate.fixed, one_sigma),
        trainings / float(stdtrit(estimate.df, one_sigma)),
        estimate.df,
    )


def _half_width(replicates: Floats, upper: float) -> float:
    finite = replicates[np.isfinite(replicates)]
    if len(finite) < len(replicates):
        return math.inf
    low, high = np.quantile(finite, [1 - upper, upper])
    return float(high - low) / 2


# ─ p-values ───────────────────────────────────────────────────────────────────────────────────────


def p_value(estimate: Estimate, bound: Bound, *, by_ranks: bool = False) -> float:
    """How likely chance alone decides a claim that expects the open range, at least as clearly.

    The tail of a t distribution beyond the bound, twice, because a claim can be decided either way.
    It is 0.05 where the interval just touches the bound. A correlation of ranks has steps, so its
    replicates beyond the bound count, too. Of a number that is not finite they alone count.
    """
    if not math.isfinite(estimate.point):
        return _share_beyond(estimate, bound)
    df = spread(estimate).total_df
    ends = list(_ends(estimate, bound))
    tails = [_tail(gap, arm, df) for gap, arm in ends]
    p = max(tails) if _is_inside(estimate.point, bound) else min(tails)
    return max(p, _share_beyond(estimate, bound)) if by_ranks or math.isinf(p) else p


def _is_inside(value: float, bound: Bound) -> bool:
    return bool(_inside(np.asarray(value), bound))


def _inside(values: Floats, bound: Bound) -> NDArray[np.bool_]:
    """Whether values are in an open range; infinite ones are where it has no end."""
    least, most = bound
    above = (values > least) | ((values == least) & (least == -math.inf))
    below = (values < most) | ((values == most) & (most == math.inf))
    return above & below


def _ends(estimate: Estimate, bound: Bound) -> Iterator[tuple[float, float]]:
    """The distance from the number to each end of a bound, and its interval's arm towards it."""
    (least, most), (low, high) = bound, estimate.interval()
    point = estimate.point
    if _is_inside(point, bound):
        if least > -math.inf:
            yield point - least, point - low
        if most < math.inf:
            yield most - point, high - point
    elif point <= least:
        yield least - point, high - point
    else:
        yield point - most, point - low


def _tail(gap: float, arm: float, df: float) -> float:
    if not (math.isfinite(gap) and math.isfinite(arm)):
        return 1.0
    if arm <= 0:
        return 0.0 if gap > 0 else 1.0
    return 2 * float(stdtr(df, -gap / arm * stdtrit(df, 1 - LEVEL / 2)))


def _share_beyond(estimate: Estimate, bound: Bound) -> float:
    """Twice the share of replicates on the other side of the bound, and half of one replicate."""
    inside = _inside(estimate.replicates, bound)
    count = np.count_nonzero(inside != _is_inside(estimate.point, bound))
    return min(1.0, 2 * (float(count) + 0.5) / len(inside))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): at most 5 % of reports have one below 0.05
    by chance.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


# ─ what would decide ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Need:
    """About how many seeds, or images, or both would decide a claim; None if not more of them."""

    seeds: int | None = None
    images: int | None = None


def need(
    estimate: Estimate, bound: Bound, seeds: int, images: int, level: float = LEVEL
) -> Need | None:
    """What would decide a claim if its number stayed as it is; None where too many are needed.

    level is the corrected level of the claim.
    """
    gaps = [abs(estimate.point - end) for end in bound if math.isfinite(end)]
    errors, gap = spread(estimate), min(gaps, default=0.0)
    if not gap or not math.isfinite(errors.examples) or not math.isfinite(gap):
        return None
    allowed = (gap / _normal(level)) ** 2
    if errors.examples**2 < 0.9 * allowed and errors.trainings:
        return _seeds(errors, gap, seeds, level, errors.examples)
    remaining = allowed - errors.trainings**2
    if remaining > 0.1 * allowed:
        return _images(errors, remaining, images)
    # half of the variance for each
    more = _images(errors, allowed / 2, images)
    fewer = _seeds(errors, gap, seeds, level, math.sqrt(allowed / 2))
    return None if more is None or fewer is None else Need(fewer.seeds, more.images)


def _normal(level: float) -> float:
    return float(stdtrit(math.inf, 1 - level / 2))


def _images(found: Spread, allowed: float, images: int) -> Need | None:
    count = math.ceil(images * found.examples**2 / allowed)
    return Need(images=count) if images < count <= _MANY_IMAGES else None


def _seeds(found: Spread, gap: float, seeds: int, level: float, examples: float) -> Need | None:
    """The fewest seeds at which the interval ends at the bound; more seeds give more freedom."""
    for count in range(max(seeds, 1) + 1, _MANY_SEEDS + 1):
        df = found.df * (count - 1) / max(seeds - 1, 1)
        trainings = found.trainings * math.sqrt(seeds / count)
        error = math.hypot(examples, trainings)
        if float(stdtrit(Spread(examples, trainings, df).total_df, 1 - level / 2)) * error < gap:
            return Need(seeds=count)
    return None
