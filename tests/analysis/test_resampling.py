"""Bootstrap replicates: their spread, their pairing and what they depend on."""

import math
import operator
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta, t

from invspec.analysis.repeats import Repeats
from invspec.analysis.resampling import Resampler
from invspec.errors import InvspecError
from invspec.ops.types import MAGNITUDES, REALS, SHARES


def coin(rng, n, p):
    return (rng.random(n) < p).astype(np.float32)


def test_the_spread_of_a_mean_is_its_standard_error():
    each = coin(np.random.default_rng(0), 1000, 0.2)
    mean = Resampler(4000).means([each], [np.arange(1000)])
    assert mean.point == pytest.approx(each.mean())
    assert mean.replicates.mean() == pytest.approx(mean.point, abs=1e-3)
    # 4000 replicates know their standard deviation to 1.1 %
    assert mean.replicates.std() == pytest.approx(each.std() / math.sqrt(1001), rel=0.04)


def test_outcomes_of_the_same_examples_are_averaged_over_seeds():
    rng, n = np.random.default_rng(0), 500
    each = [coin(rng, n, p) for p in (0.3, 0.5, 0.7)]
    several = Resampler(8000).means(each, [np.arange(n)] * 3)
    assert several.point == pytest.approx(np.mean(each))
    over_examples = np.mean(each, axis=0).std() / math.sqrt(n)
    assert several.replicates.std() == pytest.approx(over_examples, rel=0.05)


@pytest.mark.parametrize("shift", [0.0, 1e8, 1e10])
def test_a_shift_of_all_values_changes_no_width(shift):
    values = np.arange(8.0)
    mean = Resampler(400).means([values + shift], [np.arange(8)])
    assert mean.replicates.std() == pytest.approx(
        Resampler(400).means([values], [np.arange(8)]).replicates.std(), rel=1e-4
    )


def test_seeds_with_examples_of_their_own_are_averaged_as_well():
    rng, n = np.random.default_rng(0), 500
    each, index = [coin(rng, n, 0.5) for _ in range(2)], [np.arange(n), n + np.arange(n)]
    several = Resampler(8000).means(each, index)
    assert several.replicates.std() == pytest.approx(0.5 / math.sqrt(2 * n), rel=0.05)


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


def test_order_of_examples_and_of_calls_changes_nothing():
    rng, index = np.random.default_rng(0), np.arange(700)
    a, b = coin(rng, 700, 0.4), coin(rng, 700, 0.6)
    forth = [Resampler().means([a], [index]), Resampler().means([b], [index[:]])]
    back = [Resampler().means([b[::-1]], [index[::-1]]), Resampler().means([a], [index])]
    at_once = Resampler().all_means([Repeats([a], [index]), Repeats([b], [index])])
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


@pytest.mark.parametrize("within", [REALS, MAGNITUDES, SHARES])
def test_a_measured_value_of_one_unit_tells_nothing(within):
    mean = Resampler().means([[0.4]], [[3]], within=within)
    assert (mean.point, *mean.interval()) == (0.4, *within)


def test_a_mean_of_no_example_is_refused():
    with pytest.raises(InvspecError, match="zero examples"):
        Resampler(50).means([[]], [[]])


@pytest.mark.parametrize("n", [3, 5, 8])
def test_few_measured_values_have_the_width_of_a_t_interval(n):
    values = np.arange(n) / 1.0
    low, high = Resampler(20_000).means([values], [np.arange(n)]).interval()
    half = t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n)
    # the mean of few Exp(1) weights is not normal
    assert (high - low) / 2 == pytest.approx(half, rel=0.12)


@pytest.mark.parametrize("value", [0.0, 0.5, 0.999, 1.0])
def test_sources_that_all_have_one_share_leave_doubt(value):
    low, high = Resampler().means([np.full(8, value)], [np.arange(8)], within=SHARES).interval()
    assert high - low > 0.1


def test_no_numbers_have_no_means():
    assert Resampler().all_means([]) == []


@pytest.mark.slow
def test_five_hundred_cells_take_seconds():
    import time

    rng = np.random.default_rng(0)
    cells = [Repeats([coin(rng, 10_000, 0.5)], [np.arange(10_000)]) for _ in range(500)]
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
        low, high = Resampler(20_000).means([outcomes], [np.arange(n)], within=SHARES).interval()
        ends = beta(k + 0.5, n - k + 0.5).ppf([0.025, 0.975])
        assert low == pytest.approx(
            0 if k == 0 else ends[0], abs=0.01
        )  # the error of 20,000 replicates
        assert high == pytest.approx(1 if k == n else ends[1], abs=0.01)


def test_outcomes_that_never_differ_leave_the_difference_open_as_far_as_their_number_does():
    widths = []
    for n in (8, 1000):
        one, other = (Repeats([np.ones(n, bool)], [np.arange(n)], name, SHARES) for name in (1, 2))
        difference = operator.sub(*Resampler().all_means([one, other]))
        low, high = difference.interval()
        assert low < 0 < high
        widths.append(high - low)
    assert widths[0] > 0.2
    assert widths[1] < 0.01


@pytest.mark.parametrize("outcome", [-1, 0, 1])
def test_differences_of_answers_that_never_vary_leave_doubt_on_either_side(outcome):
    values, within = np.full(20, outcome), (-1.0, 1.0)
    low, high = Resampler().means([values], [np.arange(20)], within=within).interval()
    assert -1 <= low < high <= 1
    assert low < outcome or outcome == -1
    assert high > outcome or outcome == 1


def test_measurements_that_never_vary_are_certain():
    """Only shares have half examples: distances that are all 0 are not a share of 0."""
    mean = Resampler().means([np.zeros(20)], [np.arange(20)], within=(0.0, math.inf))
    assert mean.interval() == (0, 0)


def test_a_mean_and_its_replicates_stay_in_their_range():
    values = np.array([-3.0, 0.5, 0.2, 0.1])
    mean = Resampler().means([values], [np.arange(4)], within=(0.0, math.inf))
    assert (mean.point, mean.replicates.min()) == (0, 0)
    assert mean.replicates.max() > 0


def test_the_spread_of_a_median_is_its_standard_error():
    values, n = np.random.default_rng(0).normal(size=2000), 2000
    median = Resampler().quantile(Repeats([values], [np.arange(n)], level=0.5))
    # of n normal values sqrt(pi / 2n); a single sample knows its density at the median to 10 %
    assert median.replicates.std() == pytest.approx(math.sqrt(math.pi / 2 / n), rel=0.2)


def test_medians_of_the_same_examples_are_paired():
    rng, n = np.random.default_rng(0), 500
    values = rng.normal(size=n)
    first, second = (
        Resampler().quantile(Repeats([v], [np.arange(n)], level=0.5))
        for v in (values, values + 0.1)
    )
    assert (first - second).interval() == pytest.approx((-0.1, -0.1))


def test_a_median_over_pairs_varies_with_their_sources():
    rng = np.random.default_rng(0)
    values = rng.normal(size=100)
    repeats = (
        Repeats([values], [np.arange(100)], level=0.5),
        Repeats([values.repeat(9)], [np.arange(100).repeat(9)], level=0.5),
        Repeats([values.repeat(9)], [np.arange(900)], level=0.5),
    )
    alone, copies, apart = (Resampler().quantile(number).replicates.std() for number in repeats)
    assert copies == pytest.approx(alone, rel=0.2)
    assert apart < 0.6 * copies


# ─ pairs ──────────────────────────────────────────────────────────────────────────────────────────


def crossed(rng, sources, targets, spread=(1.0, 1.0, 1.0)):
    """Values of all pairs, with the effects of source, target and pair, by source and by target."""
    values = (
        spread[0] * rng.normal(size=(sources, 1))
        + spread[1] * rng.normal(size=(1, targets))
        + spread[2] * rng.normal(size=(sources, targets))
    )
    by_target = Repeats([values.mean(0)], [np.arange(targets)])
    return Repeats([values.mean(1)], [np.arange(sources)], second=by_target)


@pytest.mark.parametrize("spread", [(1, 0, 0), (0, 1, 0), (1, 1, 0)])
def test_a_mean_over_pairs_varies_with_sources_and_targets(spread):
    (mean,) = Resampler(8000).all_means([crossed(np.random.default_rng(0), 200, 200, spread)])
    expected = math.sqrt((spread[0] + spread[1]) / 200)
    assert mean.replicates.std() == pytest.approx(expected, rel=0.15)


def test_weights_of_targets_are_drawn_apart_from_those_of_sources():
    values, index = [np.random.default_rng(0).normal(size=50)], [np.arange(50)]
    alone = Repeats(values, index)
    crossed_with_itself = Repeats(values, index, second=Repeats(values, index))
    one, both = Resampler(8000).all_means([alone, crossed_with_itself])
    assert both.replicates.std() == pytest.approx(math.sqrt(2) * one.replicates.std(), rel=0.05)


def test_a_quantile_over_pairs_varies_with_its_targets():
    values = np.random.default_rng(0).normal(size=(1, 60)).repeat(60, 0).ravel()
    source, target = np.arange(60).repeat(60), np.tile(np.arange(60), 60)
    fixed = Repeats([values], [source], level=0.5)
    drawn = replace(fixed, second=Repeats([values], [target], level=0.5))
    assert Resampler().quantile(drawn).replicates.std() > 0.1
    assert Resampler().quantile(fixed).replicates.std() < 0.02


# ─ infinite values ────────────────────────────────────────────────────────────────────────────────


def test_replicates_of_a_median_reach_infinity_where_failures_may_be_half():
    values = np.where(np.arange(100) < 55, np.arange(100), np.inf)
    median = Resampler().quantile(Repeats([values], [np.arange(100)], level=0.5))
    low, high = median.interval()
    assert median.point == 49.5
    assert 35 < low < 49.5
    assert high == math.inf
