"""p-values, Holm's correction, and what would decide a claim."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t

from invspec.analysis.estimates import Estimate
from invspec.analysis.significance import Need, holm, need, p_value, spread

QUANTILES = (np.random.default_rng(0).permutation(4000) + 0.5) / 4000
OTHERS = (np.random.default_rng(1).permutation(4000) + 0.5) / 4000


def estimate(point, examples, trainings=0.0, df=math.inf):
    """An estimate with these standard errors."""
    fixed = point + examples * t.ppf(QUANTILES, math.inf)
    if not trainings:
        return Estimate(point, fixed)
    return Estimate(point, fixed + trainings * t.ppf(OTHERS, df), fixed, df)


ABOVE_0, NEAR_0 = (0.0, math.inf), (-0.1, 0.1)


@pytest.mark.parametrize("errors", [1.0, 2.0, 4.0])
def test_the_p_value_of_a_mean_is_the_tail_of_a_normal_distribution(errors):
    expected = 2 * t.sf(errors, math.inf)
    assert p_value(estimate(errors * 0.1, 0.1), ABOVE_0) == pytest.approx(expected, rel=0.05)
    assert p_value(estimate(-errors * 0.1, 0.1), ABOVE_0) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("df", [1, 2, 8])
def test_few_trainings_make_the_tail_heavy(df):
    p = p_value(estimate(0.5, 1e-9, 0.1, df), ABOVE_0)
    assert p == pytest.approx(2 * t.sf(5, df), rel=0.1)


def test_an_interval_that_touches_the_bound_has_p_005():
    found = estimate(0.5, 0.1, 0.1, 3)
    low, high = found.interval()
    assert p_value(found, (low, math.inf)) == pytest.approx(0.05)
    assert p_value(found, (-math.inf, high)) == pytest.approx(0.05)


def test_a_range_must_be_left_at_neither_end():
    assert p_value(estimate(0.09, 0.01), NEAR_0) == pytest.approx(2 * t.sf(1, math.inf), rel=0.05)


@pytest.mark.parametrize("ends", [(-math.inf, math.inf), (math.nan, math.nan)])
def test_a_number_that_may_be_anything_decides_nothing(ends):
    assert p_value(Estimate(1.0, np.array([ends[0], ends[1]] * 50)), ABOVE_0) == 1


def test_a_constant_is_certain_unless_it_is_a_rank():
    certain = Estimate(1.0, np.ones(2000))
    assert p_value(certain, ABOVE_0) == 0
    assert p_value(certain, ABOVE_0, by_ranks=True) == pytest.approx(1 / 2000)


def test_holms_correction_is_that_of_the_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_the_two_sources_of_chance_are_told_apart():
    found = spread(estimate(0.5, 0.03, 0.04, 4))
    assert (found.examples, found.trainings) == pytest.approx((0.03, 0.04), rel=0.03)
    # Satterthwaite: 4 * (1 + 9 / 16) ** 2
    assert found.total_df == pytest.approx(4 * (25 / 16) ** 2, rel=0.1)


def test_where_trainings_vary_more_seeds_decide():
    found = need(estimate(0.1, 0.001, 0.08, 4), ABOVE_0, seeds=3, images=1000)
    # at S seeds t(4 (S - 1) / 2) * 0.08 * sqrt(3 / S) must be below 0.1
    assert found == Need(seeds=9)


def test_where_examples_vary_more_images_decide():
    found = need(estimate(0.05, 0.05), ABOVE_0, seeds=1, images=100)
    assert found.seeds is None
    assert found.images == pytest.approx(100 * 1.96**2, rel=0.05)


def test_where_both_vary_both_are_needed():
    found = need(estimate(0.05, 0.05, 0.05, 10), ABOVE_0, seeds=3, images=100)
    assert (found.seeds or 0) > 3
    assert (found.images or 0) > 300


@pytest.mark.parametrize("point", [0.0, 1e-7, math.nan])
def test_nothing_decides_a_number_at_its_bound(point):
    assert need(estimate(point, 0.05), ABOVE_0, seeds=2, images=100) is None


@pytest.mark.parametrize(
    ("bound", "p"),
    {(0.5, math.inf): 0.001, (-math.inf, 0.5): 0.001, (0.5, 1.0): 0.001}.items(),
    ids=str,
)
def test_an_infinite_number_is_as_certain_as_its_replicates(bound, p):
    always = Estimate(math.inf, np.full(1000, math.inf))
    assert p_value(always, bound) == p
    half = Estimate(math.inf, np.where(np.arange(1000) % 2, math.inf, 0.7))
    assert p_value(half, (0.8, math.inf)) == 1.0
