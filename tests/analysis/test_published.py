"""The interval of the difference between our number and the paper's."""

import numpy as np
import pytest

from invspec.analysis.estimator import Summary
from invspec.analysis.intervals import wilson
from invspec.analysis.published import Comparison, half_width
from invspec.spec.published import PublishedCell


def compared(right, count, paper, **error):
    low, high = wilson(right / count, count)
    ours = Summary(right / count, low, high, count, 1, 1)
    return Comparison(PublishedCell(at={}, value=paper, **error), ours)


def test_the_papers_own_error_widens_the_interval():
    exact, known = compared(50, 100, 0.5), compared(50, 100, 0.5, n=100)
    (a, b), (c, d) = exact.interval, known.interval
    assert (d - c) == pytest.approx((b - a) * np.sqrt(2), rel=0.02)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({}, 0),
        ({"n": 100}, 1.96 * 0.05),
        ({"sd": 0.1, "seeds": 4}, 3.182 * 0.05),
        ({"n": 100, "sd": 0.1, "seeds": 4}, np.hypot(1.96 * 0.05, 3.182 * 0.05)),
    ],
)
def test_examples_are_normal_and_trainings_have_the_tails_of_t(error, expected):
    paper = PublishedCell(at={}, value=0.5, **error)
    assert half_width(paper) == pytest.approx(expected, rel=1e-3)


def test_a_share_of_1_of_few_examples_is_not_exact():
    assert 0.01 < half_width(PublishedCell(at={}, value=1, n=50)) < 0.05


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.98])
def test_two_samples_of_one_net_agree_nineteen_times_in_twenty(share):
    rng = np.random.default_rng(0)
    agree: list[bool | None] = [
        compared(rng.binomial(200, share), 200, rng.binomial(300, share) / 300, n=300).agrees
        for _ in range(1000)
    ]
    assert agree.count(True) / len(agree) > 0.93


def test_nets_that_differ_do_not_agree():
    rng = np.random.default_rng(0)
    agree: list[bool | None] = [
        compared(rng.binomial(500, 0.6), 500, rng.binomial(500, 0.8) / 500, n=500).agrees
        for _ in range(200)
    ]
    assert agree.count(True) / len(agree) < 0.01


def test_a_number_that_is_nan_or_missing_is_not_compared():
    paper, nan = PublishedCell(at={}, value=0.5), float("nan")
    for ours in (None, Summary(nan, nan, nan, 9, 1, 1), Summary(nan, -1, 1, 9, 1, 1)):
        assert Comparison(paper, ours).agrees is None
