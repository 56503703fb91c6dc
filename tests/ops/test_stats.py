import math
import operator
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.stats import beta, spearmanr

from invspec.errors import InvspecError
from invspec.ops.stats import (
    Estimate,
    Outcomes,
    Resampler,
    area,
    average,
    greatest,
    least,
    magnitude,
    spearman,
    wilson,
)
from invspec.scoring.shares import proportion, scored


def coin(rng, n, p):
    return (rng.random(n) < p).astype(np.float32)


def estimate(*values):
    """An estimate whose replicates are the given numbers, its point the first."""
    return Estimate(float(values[0]), np.array(values, dtype=float))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_newcombes_published_values(successes, n, low, high):
    # Newcombe 1998, Table I, method 3
    assert wilson(successes / n, n) == pytest.approx((low, high), abs=5e-5)


def test_a_proportion_carries_its_value_count_and_interval():
    row = proportion(torch.arange(263) < 81)
    assert (row.value, row.n) == (pytest.approx(81 / 263), 263)
    assert (row.low, row.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize("outcome", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 7, 10_000])
def test_a_proportion_lies_within_its_interval_at_the_ends(outcome, n):
    row = proportion(torch.full((n,), outcome))
    assert 0 <= row.low <= row.value == outcome <= row.high <= 1
    assert row.low < row.high


def test_a_proportion_of_nothing_is_refused():
    with pytest.raises(InvspecError, match="no examples"):
        proportion(torch.zeros(0, dtype=torch.bool))


def test_a_score_keeps_each_outcome_with_its_index():
    score = scored(torch.tensor([True, False]), torch.tensor([5, 9]))
    assert score.rows[0].value == score.tensors["each"].mean() == 0.5
    assert score.tensors["index"].tolist() == [5, 9]


def test_resampling_does_without_torch():
    code = "import sys, invspec.ops.stats; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_spread_of_a_mean_is_its_standard_error():
    each = coin(np.random.default_rng(0), 1000, 0.2)
    mean = Resampler(4000).means([each], [np.arange(1000)])
    assert mean.point == pytest.approx(each.mean())
    assert mean.replicates.mean() == pytest.approx(mean.point, abs=1e-3)
    # 4000 replicates know their standard deviation to 1.1 %
    assert mean.replicates.std() == pytest.approx(each.std() / math.sqrt(1001), rel=0.04)


def test_the_spread_over_seeds_is_unbiased():
    values = np.array([0.1, 0.4, 0.2, 0.5])
    mean = Resampler(20_000).means([[v] for v in values], [[0]] * 4)
    assert mean.point == pytest.approx(0.3)
    assert mean.replicates.std() == pytest.approx(values.std(ddof=1) / 2, rel=0.02)


def test_two_seeds_span_their_own_interval():
    mean = Resampler().means([[0.2], [0.6]], [[0], [0]])
    assert mean.interval() == pytest.approx((0.2, 0.6), abs=1e-3)


def test_seeds_and_examples_both_add_to_the_spread():
    rng, n = np.random.default_rng(0), 500
    each = [coin(rng, n, p) for p in (0.3, 0.5, 0.7)]
    spread = Resampler(8000).means(each, [np.arange(n)] * 3).replicates.std()
    over_seeds = np.std([one.mean() for one in each], ddof=1) / math.sqrt(3)
    over_examples = np.mean(each, axis=0).std() / math.sqrt(n)
    assert spread == pytest.approx(math.hypot(over_seeds, over_examples), rel=0.05)


def test_the_interval_of_a_difference_covers_the_truth_as_often_as_it_says():
    rng, n, trials = np.random.default_rng(0), 300, 400
    resampler, index, hits = Resampler(400), np.arange(300), 0
    for _ in range(trials):
        shared = rng.random(n)
        a, b = shared < 0.6, (shared < 0.5) ^ (rng.random(n) < 0.1)
        expected = 0.6 - (0.5 * 0.9 + 0.5 * 0.1)
        low, high = (resampler.means([a], [index]) - resampler.means([b], [index])).interval()
        hits += low <= expected <= high
    assert hits / trials == pytest.approx(0.95, abs=0.035)  # three standard errors of 400 trials


def test_pairing_narrows_the_difference_of_correlated_outcomes():
    rng, n = np.random.default_rng(0), 2000
    a = coin(rng, n, 0.5)
    b = np.where(rng.random(n) < 0.02, 1 - a, a)
    resampler = Resampler()
    paired = resampler.means([a], [np.arange(n)]) - resampler.means([b], [np.arange(n)])
    unpaired = resampler.means([a], [np.arange(n)]) - resampler.means([b], [n + np.arange(n)])
    assert paired.replicates.std() == pytest.approx((a - b).std() / math.sqrt(n), rel=0.08)
    assert paired.replicates.std() < 0.3 * unpaired.replicates.std()


def test_samples_that_overlap_are_paired_where_they_do():
    each = coin(np.random.default_rng(0), 1000, 0.5)
    resampler, index = Resampler(), np.arange(1000)
    whole, most = resampler.means([each], [index]), resampler.means([each[:900]], [index[:900]])
    assert np.corrcoef(whole.replicates, most.replicates)[0, 1] == pytest.approx(
        math.sqrt(0.9), abs=0.02
    )


def test_the_same_seed_weighs_alike_wherever_it_appears():
    values = {0: 0.1, 3: 0.9, 5: 0.4}
    resampler = Resampler()
    a = resampler.means([[values[s]] for s in (0, 3, 5)], [[0]] * 3, seeds=(0, 3, 5))
    b = resampler.means([[values[s]] for s in (5, 0, 3)], [[0]] * 3, seeds=(5, 0, 3))
    np.testing.assert_allclose(a.replicates, b.replicates, atol=1e-12)


def test_order_of_examples_and_of_calls_changes_nothing():
    rng, index = np.random.default_rng(0), np.arange(700)
    a, b = coin(rng, 700, 0.4), coin(rng, 700, 0.6)
    forth = [Resampler().means([a], [index]), Resampler().means([b], [index[:]])]
    back = [Resampler().means([b[::-1]], [index[::-1]]), Resampler().means([a], [index])]
    at_once = Resampler().all_means([Outcomes([a], [index], [0]), Outcomes([b], [index], [0])])
    for one, two, three in zip(forth, reversed(back), at_once, strict=True):
        assert (
            one.replicates == two.replicates
        ).all()  # bitwise: weighted counts are whole numbers
        assert (one.replicates == three.replicates).all()


def test_another_seed_draws_other_replicates():
    each, index = coin(np.random.default_rng(0), 50, 0.4), np.arange(50)
    assert (
        Resampler(seed=0).means([each], [index]).replicates
        != Resampler(seed=1).means([each], [index]).replicates
    ).any()


def test_one_example_is_enough_and_none_is_refused():
    assert Resampler(50).means([[2.0]], [[3]]).interval() == (2, 2)
    with pytest.raises(InvspecError, match="no examples"):
        Resampler(50).means([[]], [[]])


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


def test_a_ratio_to_nothing_is_unbounded_and_of_nothing_to_nothing_is_undecided():
    assert (estimate(1, 1) / estimate(0, 0)).interval() == (math.inf, math.inf)
    assert (estimate(0, 0) / estimate(0, 0)).interval() == (-math.inf, math.inf)


def test_the_interval_is_the_percentiles():
    assert Estimate(500, np.arange(1001.0)).interval(0.9) == (50, 950)


def test_the_interval_holds_the_point():
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


def test_no_numbers_have_no_means():
    assert Resampler().all_means([]) == []


@pytest.mark.slow
def test_five_hundred_cells_take_seconds():
    import time

    rng = np.random.default_rng(0)
    cells = [Outcomes([coin(rng, 10_000, 0.5)], [np.arange(10_000)], [0]) for _ in range(500)]
    start = time.perf_counter()
    Resampler().all_means(cells)
    assert time.perf_counter() - start < 10


def test_a_number_without_outcomes_has_replicates_that_span_its_interval():
    known = Resampler(4000).unpaired(1.0, low=0.5, high=3.0, words=[7])
    # the 2.5 % quantile of 4000 normal draws is known to 3 % of its distance from the middle
    assert known.point == 1.0
    assert known.interval() == pytest.approx((0.5, 3.0), abs=0.2)


def test_numbers_without_outcomes_move_with_their_namesake_alone():
    one, again, other = (
        Resampler().unpaired(0.0, -1.0, 1.0, [word]).replicates for word in (1, 1, 2)
    )
    assert one.tolist() == again.tolist()
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


def test_a_share_has_the_interval_of_jeffreys():
    """Beta(k + 1/2, n - k + 1/2), its ends stretched to the point at k = 0 and k = n."""
    for k, n in ((8, 8), (0, 40), (30, 40)):
        outcomes = np.arange(n) < k
        low, high = Resampler(20_000).means([outcomes], [np.arange(n)]).interval()
        ends = beta(k + 0.5, n - k + 0.5).ppf([0.025, 0.975])
        assert low == pytest.approx(
            0 if k == 0 else ends[0], abs=0.01
        )  # the error of 20,000 replicates
        assert high == pytest.approx(1 if k == n else ends[1], abs=0.01)


def test_outcomes_that_never_differ_leave_the_difference_open_as_far_as_their_number_does():
    widths = []
    for n in (8, 1000):
        one, other = (Outcomes([np.ones(n)], [np.arange(n)], [0], name) for name in (1, 2))
        difference = operator.sub(*Resampler().all_means([one, other]))
        low, high = difference.interval()
        assert low < 0 < high
        widths.append(high - low)
    assert widths[0] > 0.2
    assert widths[1] < 0.01
