"""Statistics of numbers that are in doubt: their intervals over all that the numbers may be."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from invspec.analysis.doubts import Shifts
from invspec.analysis.estimates import Estimate, Floats
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
# Combinations for which a statistic is computed at once: this bounds memory.
AT_ONCE = 32


def extremes(
    health: Health, statistic: Statistic, groups: Iterable[Group], estimator: Estimator
) -> list[Estimate]:
    """A statistic of some groups: at face value, then with numbers in doubt shifted.

    Every number in doubt is tried at its extremes, and at some values between them.
    """
    used = list(dict.fromkeys(groups))
    face = statistic(estimator)
    shifts = {group: health.shifts(group) for group in used if health.doubts(group)}
    doubtful = {group: both for group, both in shifts.items() if any(both)}
    if not doubtful:
        return [face]

    def shifted(moves: Iterable[Moved]) -> list[Estimate]:
        return list(_shifted_statistics(statistic, estimator, used, face, moves))

    return [face, *shifted(_choices(doubtful, shifted, ends([face])))]


def ends(ways: Sequence[Estimate]) -> Ends:
    """The hull of the intervals of a statistic. One that is NaN, as 0 / 0 is, may be anything."""
    intervals = [way.interval() for way in ways]
    return (
        float(min(-np.inf if np.isnan(low) else low for low, _ in intervals)),
        float(max(np.inf if np.isnan(high) else high for _, high in intervals)),
    )


def _choices(
    doubtful: Mapping[Group, Shifts],
    shifted: Callable[[Iterable[Moved]], list[Estimate]],
    face: Ends,
) -> Iterator[Moved]:
    """Combinations of shifts among which the statistic has its extremes."""
    options = {group: [0.0, *filter(None, both)] for group, both in doubtful.items()}
    yield from _between(options)
    if np.prod([len(shifts) for shifts in options.values()], dtype=float) <= MAX_CORNERS:
        corners = itertools.product(*options.values())
        yield from (dict(zip(options, corner, strict=True)) for corner in corners)
        return
    # too many: statistics are monotone in each number, so each one's direction is tried alone
    alone = [(group, shift) for group, shifts in options.items() for shift in shifts[1:]]
    down: dict[Group, float] = {}
    up: dict[Group, float] = {}
    for (group, shift), way in zip(alone, shifted([{g: s} for g, s in alone]), strict=True):
        low, high = ends([way])
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


def _shifted_statistics(
    statistic: Statistic,
    estimator: Estimator,
    groups: Sequence[Group],
    face: Estimate,
    moves: Iterable[Moved],
) -> Iterator[Estimate]:
    """A statistic with some numbers shifted, for each of several shifts.

    Arithmetic on estimates treats every replicate alike. So the numbers of several shifts stand
    side by side as replicates, and the statistic is computed once for all of them.
    """
    own = {group: estimator.estimate(group) for group in groups}
    if face.ends is not None:
        # a number by itself has its interval in closed form
        for move in moves:
            changed = {
                group: _shifted(own[group], shift, group.present[0].range)
                for group, shift in move.items()
                if shift
            }
            yield statistic(replace(estimator, estimates={**estimator.estimates, **changed}))
        return
    has_fixed = any(estimate.fixed is not None for estimate in own.values())
    columns = {group: _column(estimate, has_fixed) for group, estimate in own.items()}
    size = len(face.replicates)
    remaining = iter(moves)
    while block := list(itertools.islice(remaining, AT_ONCE)):
        stacked = {
            group: replace(
                own[group],
                replicates=np.concatenate(
                    [
                        _moved(columns[group], move.get(group, 0.0), group.present[0].range)
                        for move in block
                    ]
                ),
                fixed=None,
                ends=None,
            )
            for group in groups
        }
        side_by_side = replace(estimator, estimates={**estimator.estimates, **stacked})
        for way in statistic(side_by_side).replicates.reshape(len(block), -1):
            fixed = way[1 + size :] if face.fixed is not None else None
            yield Estimate(float(way[0]), way[1 : 1 + size], fixed, face.df)


def _column(own: Estimate, has_fixed: bool) -> Floats:
    """The value of a number and all its replicates, one after the other."""
    fixed = own.replicates if own.fixed is None else own.fixed
    parts = [[own.point], own.replicates, *([fixed] if has_fixed else [])]
    return np.concatenate(parts, dtype=float)


def _moved(values: Any, shift: float, within: Ends) -> Any:
    """Values of a number that is shifted as far as its range allows.

    An infinite distance that may be finite may be anything down to the end of its range.
    """
    if not shift:
        return values
    if np.isinf(shift):
        return np.full_like(values, within[0] if shift < 0 else within[1], dtype=float)
    return np.clip(values + shift, *within)


def _shifted(own: Estimate, shift: float, within: Ends) -> Estimate:
    """A shifted number with its replicates and its interval."""
    low, high = own.interval()
    return Estimate(
        float(_moved(own.point, shift, within)),
        _moved(own.replicates, shift, within),
        None if own.fixed is None else _moved(own.fixed, shift, within),
        own.df,
        (float(_moved(low, shift, within)), float(_moved(high, shift, within)))
        if own.ends
        else None,
    )
