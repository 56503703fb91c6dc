"""Statistics of numbers that are in doubt."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from numpy.random import Generator

from invspec.analysis import estimates, hulls
from invspec.analysis.estimates import Estimate
from invspec.analysis.estimator import Estimator
from invspec.analysis.hulls import (
    _shifted,  # pyright: ignore[reportPrivateUsage]
    _shifted_statistics,  # pyright: ignore[reportPrivateUsage]
)
from invspec.analysis.readings import Group, Reading
from invspec.scoring.rows import estimated

REPLICATES = 50
Numbers = list[Estimate]
STATISTICS: dict[str, Callable[[Numbers], Estimate]] = {
    "value": lambda n: n[0],
    "difference": lambda n: n[0] - n[1],
    "ratio": lambda n: n[0] / n[1],
    "magnitude": lambda n: estimates.magnitude([n[0] - n[1], n[1] - n[2]]),
    "area": lambda n: estimates.area(n, [0.0, 0.5, 2.0]),
    "correlation": lambda n: estimates.spearman([1.0, 2.0, 3.0], n),
}


def number(generator: Generator, has_fixed: bool, ends: bool = False) -> Estimate:
    replicates, fixed = generator.random((2, REPLICATES))
    interval = (0.2, 0.8) if ends else None
    return Estimate(0.5, replicates, fixed if has_fixed else None, 7.0, interval)


def group() -> Group:
    reading = Reading(cast(Any, None), {}, estimated(0.5, 0.4, 0.6, 10))
    return Group({}, (reading,))


@pytest.mark.parametrize("kinds", [(False,) * 3, (True,) * 3, (True, False, True)])
@pytest.mark.parametrize("name", STATISTICS)
def test_shifts_computed_side_by_side_are_those_computed_one_by_one(
    name: str, kinds: tuple[bool, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hulls, "AT_ONCE", 4)
    generator = np.random.default_rng(0)
    numbers = {group(): number(generator, has_fixed) for has_fixed in kinds}
    groups = list(numbers)

    def statistic(estimator: Estimator) -> Estimate:
        return STATISTICS[name]([estimator.estimate(item) for item in groups])

    estimator = Estimator(groups, estimates=numbers)
    moves = [dict(zip(groups, generator.normal(size=3), strict=True)) for _ in range(10)]
    moves.append({groups[1]: math.inf})
    face = statistic(estimator)
    together = list(_shifted_statistics(statistic, estimator, groups, face, moves))
    assert len(together) == len(moves)
    for move, way in zip(moves, together, strict=True):
        changed = {
            item: _shifted(numbers[item], shift, (-math.inf, math.inf))
            for item, shift in move.items()
        }
        alone = statistic(replace(estimator, estimates={**numbers, **changed}))
        assert way.point == pytest.approx(alone.point, nan_ok=True)
        np.testing.assert_allclose(way.replicates, alone.replicates)
        assert (way.fixed is None) == (alone.fixed is None)
        if way.fixed is not None and alone.fixed is not None:
            np.testing.assert_allclose(way.fixed, alone.fixed)
        assert way.df == alone.df


def test_a_single_number_keeps_its_interval_in_closed_form() -> None:
    own = number(np.random.default_rng(0), has_fixed=False, ends=True)
    (only,) = groups = [group()]
    estimator = Estimator(groups, estimates={only: own})
    (way,) = _shifted_statistics(lambda e: e.estimate(only), estimator, groups, own, [{only: 0.1}])
    assert way.ends == pytest.approx((0.3, 0.9))


def test_an_infinite_distance_in_doubt_may_be_0() -> None:
    """As the median of distances is where an attack broke fewer than half of the images."""
    infinite = Estimate(math.inf, np.full(4, math.inf), ends=(math.inf, math.inf))
    shifted = _shifted(infinite, -math.inf, (0.0, math.inf))
    assert (shifted.point, *shifted.interval()) == (0.0, 0.0, 0.0)
    assert not shifted.replicates.any()
