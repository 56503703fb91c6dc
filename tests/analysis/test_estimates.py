"""Arithmetic on bootstrap estimates."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import spearmanr

from invspec.analysis import estimates
from invspec.analysis.estimates import (
    Estimate,
    area,
    average,
    greatest,
    least,
    magnitude,
    spearman,
)


def estimate(*values):
    """An estimate whose replicates are the given numbers, its point the first."""
    return Estimate(float(values[0]), np.array(values, dtype=float))


def test_estimates_need_no_torch():
    code = "import sys, invspec.analysis.resampling; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_arithmetic_holds_for_the_point_and_for_each_replicate():
    a, b = estimate(4, 6), estimate(2, 3)
    for result, expected in [
        (a - b, [2, 3]),
        (a + b, [6, 9]),
        (a / b, [2, 2]),
        (a * b, [8, 18]),
        (1 - a, [-3, -5]),
        (2 * a, [8, 12]),
        (least([a, b]), [2, 3]),
        (greatest([a, b]), [4, 6]),
        (magnitude([a - 5, b - 5]), [3, 2]),
        (average([a, b]), [3, 4.5]),
    ]:
        assert result.point == expected[0]
        assert result.replicates.tolist() == expected


def test_a_ratio_to_0_is_unbounded_and_0_to_0_is_undecided():
    assert (estimate(1, 1) / estimate(0, 0)).interval() == (math.inf, math.inf)
    assert (estimate(0, 0) / estimate(0, 0)).interval() == (-math.inf, math.inf)


def test_the_interval_is_the_percentiles():
    assert Estimate(500, np.arange(1001.0)).interval(0.9) == (50, 950)


def test_the_interval_includes_the_point():
    assert Estimate(1001, np.arange(1001.0)).interval(0.9) == (50, 1001)


def test_the_area_of_a_straight_profile_is_its_middle_in_any_order():
    line = [estimate(1 - 0.5 * t, t) for t in (0.0, 0.1, 0.4)]
    mean = area(line, at=(0.0, 0.1, 0.4))
    assert mean.point == pytest.approx(0.9)
    assert mean.replicates[1] == pytest.approx(0.2)
    assert area(line[::-1], at=(0.4, 0.1, 0.0)).point == pytest.approx(0.9)


def test_rank_correlation_agrees_with_scipy_with_ties():
    rng = np.random.default_rng(0)
    positions = [0, 60, 60, 120, 180]
    values = rng.integers(0, 4, (5, 30)) / 4
    values[:, 0] = [0.1, 0.2, 0.2, 0.3, 0.9]
    result = spearman(positions, [estimate(*row) for row in values])
    assert result.point == pytest.approx(1)
    moving = [column for column in range(30) if np.ptp(values[:, column]) > 0]
    for column in moving:
        assert result.replicates[column] == pytest.approx(
            spearmanr(positions, values[:, column]).statistic
        )


def test_rank_correlation_of_a_constant_is_zero():
    assert spearman([0, 1, 2], [estimate(0.3, 0.3)] * 3).replicates.tolist() == [0, 0]
    assert spearman([1, 1, 1], [estimate(0.1), estimate(0.2), estimate(0.3)]).point == 0


def test_rounding_is_no_rank():
    assert (
        spearman([0, 1, 2], [estimate(0.3), estimate(0.3 + 1e-8), estimate(0.3 + 2e-8)]).point == 0
    )


def test_estimates_of_different_resamplers_do_not_mix():
    with pytest.raises(AssertionError, match="different resamplers"):
        _ = estimate(1, 2) - estimate(1, 2, 3)


def test_ranks_of_infinities_and_ties() -> None:
    ranks = estimates._centred_ranks  # pyright: ignore[reportPrivateUsage]
    column = np.array([[np.inf], [0.0], [-np.inf], [np.inf], [1e-12]])
    with np.errstate(invalid="ignore"):
        assert ranks(column)[:, 0].tolist() == [3, -1, -4, 3, -1]
    assert np.isnan(ranks(np.array([[np.nan], [1.0]]))).all()
