"""The variance between trainings, pooled over nets that vary alike or do not."""

from __future__ import annotations

import numpy as np
import pytest

from invspec.analysis.layers import Layer, Part, degrees


def part(net, deviations):
    deviations = np.asarray(deviations, dtype=float)
    return Part(net, "clean", "accuracy", deviations, len(deviations) - 1.0, 1.0)


def parts(*spreads, seeds=2):
    shape = np.linspace(-1, 1, seeds)
    return [part(f"{number}", spread * shape) for number, spread in enumerate(spreads)]


def test_degrees_add_up_over_nets_that_vary_alike():
    assert degrees(parts(0.01, 0.012, 0.009, 0.01)) == 4
    assert degrees(parts(*10 * [0.01], seeds=3)) == 20


@pytest.mark.parametrize(("wild", "expected"), [(1, 1), (2, 2), (3, 3)])
def test_a_few_wild_nets_leave_their_own_degrees(wild, expected):
    assert degrees(parts(*wild * [0.8], *10 * [0.01])) == expected


def test_two_nets_of_two_seeds_keep_their_degrees_unless_one_hardly_varies():
    assert degrees(parts(0.03, 0.01)) == 2
    assert degrees(parts(0.03, 0.0001)) < 2


def test_nets_that_never_vary_and_nets_of_one_seed_count_as_alike():
    assert degrees(parts(0.0, 0.0, seeds=3)) == 4
    assert degrees([part("a", [0.0]), *parts(0.01, 0.01)]) == 2
    assert degrees([part("a", [0.0])]) == 0


def test_nets_that_vary_alike_seldom_lose_degrees():
    rng = np.random.default_rng(0)
    full = [
        degrees([part(f"{net}", values - values.mean()) for net, values in enumerate(draws)]) == 16
        for draws in rng.normal(size=(1000, 8, 3))
    ]
    # 5 % lose some: three standard errors
    assert np.mean(full) == pytest.approx(0.95, abs=0.021)


def test_the_spread_is_that_of_the_mean_variance():
    layer = Layer(parts(0.3, 0.4))
    # two seeds at -d and d have the variance 2 d^2
    assert layer.spread["clean"] == pytest.approx(np.sqrt(0.3**2 + 0.4**2))
    assert layer.excess["0", "accuracy"] == 1
    assert layer.excess["1", "accuracy"] == pytest.approx(0.4 / np.sqrt((0.3**2 + 0.4**2) / 2))
