"""Statistics of numbers that are in doubt: their intervals over all that the numbers may be."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from invspec.analysis.doubts import Shifts
from invspec.analysis.estimates import Estimate
from invspec.analysis.estimator import Estimator
from invspec.analysis.health import Health
from invspec.analysis.readings import Group

# the statistic of a claim from the numbers of an estimator
Statistic = Callable[[Estimator], Estimate]
Ends = tuple[float, float]
# by how much some numbers are shifted
Moved = Mapping[Group, float]

# Largest number of combinations of extremes that are all tried.
MAX_CORNERS = 243
# Combinations of values between the extremes, where rank correlations may have theirs.
BETWEEN = 32


def extremes(
    health: Health, statistic: Statistic, groups: Iterable[Group], estimator: Estimator
) -> list[Estimate]:
    """A statistic of some groups: at face value, then with numbers in doubt shifted.

    Every number in doubt is tried at its extremes, and at some values between them.
    """
    face = statistic(estimator)
    shifts = {group: health.shifts(group) for group in groups if health.doubts(group)}
    doubtful = {group: both for group, both in shifts.items() if any(both)}
    if not doubtful:
        return [face]
    moved = _choices(doubtful, lambda shifted: statistic(_moved(estimator, shifted)), ends([face]))
    return [face, *(statistic(_moved(estimator, shifted)) for shifted in moved)]


def ends(ways: Sequence[Estimate]) -> Ends:
    """The hull of the intervals of a statistic. One that is NaN, as 0 / 0 is, may be anything."""
    intervals = [way.interval() for way in ways]
    return (
        float(min(-np.inf if np.isnan(low) else low for low, _ in intervals)),
        float(max(np.inf if np.isnan(high) else high for _, high in intervals)),
    )


def _choices(
    doubtful: Mapping[Group, Shifts], statistic: Callable[[Moved], Estimate], face: Ends
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
            low, high = ends([statistic({group: shift})])
            if low < face[0]:
                down[group] = shift
            if high > face[1]:
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
    """An estimator in whose estimates some numbers are shifted."""
    shifted = {
        group: _shifted(estimator.estimate(group), shift, group.present[0].range)
        for group, shift in shifts.items()
        if shift
    }
    return replace(estimator, estimates={**estimator.estimates, **shifted})


def _shifted(own: Estimate, shift: float, within: Ends) -> Estimate:
    """A number that is shifted as far as its range allows, with its replicates and interval.

    An infinite distance that may be finite may be anything down to the end of its range.
    """

    def moved(values: Any) -> Any:
        if np.isinf(shift):
            return np.full_like(values, within[0] if shift < 0 else within[1], dtype=float)
        return np.clip(values + shift, *within)

    low, high = own.interval()
    return Estimate(
        float(moved(own.point)),
        moved(own.replicates),
        None if own.fixed is None else moved(own.fixed),
        own.df,
        (float(moved(low)), float(moved(high))) if own.ends else None,
    )
