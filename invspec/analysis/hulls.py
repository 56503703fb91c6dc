"""Statistics of numbers that are in doubt: their intervals over all that the numbers may be."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from invspec.analysis.estimates import Estimate
from invspec.analysis.estimator import Estimator
from invspec.analysis.health import Health, Shifts, clipped, range_of
from invspec.analysis.readings import Group
from invspec.data import Interval

# a statistic of a claim and both ends of its interval
Ends = tuple[float, float, float]
Statistic = Callable[[Estimator], Ends]
# by how much some numbers are shifted
Moved = Mapping[Group, float]

# Largest number of combinations of extremes that are all tried.
MAX_CORNERS = 243
# Combinations of values between the extremes, where rank correlations may have theirs.
BETWEEN = 32


def hull(
    health: Health, statistic: Statistic, groups: Iterable[Group], estimator: Estimator
) -> Ends:
    """The value of a statistic of some groups, with the hull of its intervals.

    Every number in doubt is tried at its extremes, and at some values between them.
    """
    face = statistic(estimator)
    shifts = {group: health.shifts(group) for group in groups if health.doubts(group)}
    doubtful = {group: both for group, both in shifts.items() if any(both)}
    if not doubtful:
        return face
    chosen = _choices(doubtful, lambda moved: statistic(_moved(estimator, moved)), face)
    ends = [face, *(statistic(_moved(estimator, moved)) for moved in chosen)]
    # a statistic that is NaN, as 0 / 0 is, may be anything
    low = min(-np.inf if np.isnan(low) else low for _, low, _ in ends)
    high = max(np.inf if np.isnan(high) else high for _, _, high in ends)
    return face[0], float(low), float(high)


def _choices(
    doubtful: Mapping[Group, Shifts], statistic: Callable[[Moved], Ends], face: Ends
) -> Iterator[Moved]:
    """Combinations of shifts among which the statistic has its extremes."""
    options = {group: [0.0, *filter(None, both)] for group, both in doubtful.items()}
    yield from _between(options)
    if np.prod([len(shifts) for shifts in options.values()], dtype=float) <= MAX_CORNERS:
        corners = itertools.product(*options.values())
        yield from (dict(zip(options, corner, strict=True)) for corner in corners)
        return
    # too many: statistics are monotone in each number, so each one's direction is tried alone
    down: dict[Group, float] = {}
    up: dict[Group, float] = {}
    for group, shifts in options.items():
        for shift in shifts[1:]:
            _, low, high = statistic({group: shift})
            if low < face[1]:
                down[group] = shift
            if high > face[2]:
                up[group] = shift
    yield from (down, up)
    yield {group: shifts[1] for group, shifts in options.items()}
    yield {group: shifts[-1] for group, shifts in options.items()}


def _between(options: Mapping[Group, Sequence[float]]) -> Iterator[Moved]:
    """Random combinations of shifts between 0 and the extremes."""
    generator = np.random.default_rng(0)
    for _ in range(BETWEEN):
        parts = generator.random(len(options))
        yield {
            group: part * shifts[int(generator.integers(1, len(shifts)))]
            for part, (group, shifts) in zip(parts, options.items(), strict=True)
        }


def _moved(estimator: Estimator, shifts: Moved) -> Estimator:
    """An estimator in whose estimates and intervals some numbers are shifted."""
    estimates, known = dict(estimator.estimates), dict(estimator.known)
    for group, shift in shifts.items():
        if not shift:
            continue
        own, (least, most) = estimator.estimate(group), range_of(group.present[0])
        replicates = np.clip(own.replicates + shift, least, most)
        estimates[group] = Estimate(min(max(own.point + shift, least), most), replicates)
        if len(group.present) == 1:
            number = estimator.interval(group.present[0])
            value, low, high = (
                clipped(group, end + shift) for end in (number.value, number.low, number.high)
            )
            known[group.present[0]] = Interval(value, low, high, number.n)
    return replace(estimator, estimates=estimates, known=known)
