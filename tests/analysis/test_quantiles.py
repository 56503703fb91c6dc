"""Quantiles of weighted values, of which some may be infinite."""

import numpy as np
import pytest

from invspec.analysis.quantiles import quantile, weighted_quantile


def test_equal_weights_give_the_quantile_of_numpy():
    values = np.sort(np.random.default_rng(0).normal(size=11))
    for level in (0, 0.05, 0.5, 0.77, 1):
        found = weighted_quantile(values, np.full((11, 2), 3.0), level)
        assert found == pytest.approx(np.quantile(values, level))
    assert weighted_quantile(values[:1], np.ones((1, 2)), 0.3).tolist() == [values[0]] * 2


def test_a_weight_draws_the_quantile_to_its_value():
    values, weights = np.arange(5.0), np.ones((5, 3))
    weights[1, 1] = weights[3, 2] = 10
    middle, low, high = weighted_quantile(values, weights, 0.5)
    assert 1 <= low < middle == 2 < high <= 3


@pytest.mark.parametrize(
    ("values", "level", "expected"),
    [
        ([1, 2, np.inf], 0.5, 2),
        ([1, np.inf, np.inf], 0.5, np.inf),
        ([1, 2, np.inf, np.inf], 0.5, np.inf),
        ([1, 2, 3, np.inf], 1 / 3, 2),
        ([np.inf], 0.5, np.inf),
        ([1, 2, 3, 4], 0.3, 1.9),
    ],
)
def test_a_quantile_beside_an_infinite_value_is_infinite(values, level, expected):
    assert quantile(np.array(values, dtype=float), level) == pytest.approx(expected)
