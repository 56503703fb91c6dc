"""The interval of a single number, by the kind of its outcomes."""

import numpy as np
import pytest
import torch
from scipy.stats import multinomial
from shown import shown

from invspec.analysis.intervals import order_statistics, wilson
from invspec.errors import InvspecError
from invspec.ops.types import SHARES
from invspec.scoring.rows import estimated, exact, mean, mean_of_pairs, quantile, share


def number(row):
    (found,) = shown([row])
    return found


# ─ shares ─────────────────────────────────────────────────────────────────────────────────────


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


def test_a_share_has_its_value_its_count_and_wilsons_interval():
    row = number(share(torch.arange(263) < 81, torch.arange(263)))
    assert (row.value, row.n) == (pytest.approx(81 / 263), 263)
    assert (row.low, row.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize("outcome", [False, True])
@pytest.mark.parametrize("n", [1, 7, 10_000])
def test_a_share_lies_within_its_interval_at_the_ends(outcome, n):
    row = number(share(torch.full((n,), outcome), torch.arange(n)))
    assert 0 <= row.low <= row.value == outcome <= row.high <= 1
    assert row.low < row.high


@pytest.mark.parametrize("constructor", [share, mean, mean_of_pairs])
def test_a_share_of_zero_examples_is_refused(constructor):
    none = torch.zeros(0)
    with pytest.raises(InvspecError, match="expected at least one example to measure"):
        constructor(none, none.long())


def test_outcomes_that_are_nan_are_refused():
    with pytest.raises(InvspecError, match="1 of 2 outcomes are infinite or NaN"):
        mean(torch.tensor([0.5, torch.nan]), torch.arange(2))


def test_fractions_are_bootstrapped_within_their_range():
    values = torch.tensor([1.0, 1.0, 1.0, 0.5])
    row = number(mean(values, torch.arange(4), within=SHARES))
    assert row.value == 0.875
    assert 0.3 < row.low < 0.875 < row.high <= 1


def test_many_numbers_at_once_have_the_intervals_of_each_alone():
    values = torch.rand(30, 7, generator=torch.Generator().manual_seed(0))
    rows = [mean(column, torch.arange(30) + place) for place, column in enumerate(values.T)]
    rows.insert(3, share(values[:, 0] > 0.5, torch.arange(30)))
    rows.insert(5, quantile(values[:, 0], torch.arange(30), 0.25))
    for found, row in zip(shown(rows), rows, strict=True):
        alone = number(row)
        assert (found.value, found.n) == (alone.value, alone.n)
        # sums of float32 depend on what is computed beside them
        assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=1e-6)


# ─ differences of shares ──────────────────────────────────────────────────────────────────────


def difference(values):
    """A difference of paired shares, from values of -1, 0 and 1."""
    return number(mean(values, torch.arange(len(values)), within=(-1.0, 1.0)))


def test_the_interval_is_agrestis_and_mins():
    """53 lost, 16 gained of 100: centre 37 / 102, variance (70 / 102 - (37 / 102) ** 2) / 102."""
    row = difference(torch.tensor([1] * 53 + [-1] * 16 + [0] * 31))
    half = 1.959964 * ((70 / 102 - (37 / 102) ** 2) / 102) ** 0.5
    assert (row.low, row.value, row.high) == pytest.approx(
        (37 / 102 - half, 0.37, 37 / 102 + half), abs=1e-6
    )


@pytest.mark.parametrize("outcome", [-1, 0, 1])
def test_a_few_equal_outcomes_leave_doubt(outcome):
    row = difference(torch.full((4,), outcome))
    assert row.value == outcome
    assert -1 <= row.low <= row.value <= row.high <= 1
    assert row.high - row.low > 0.3


@pytest.mark.parametrize(("up", "down"), [(0.15, 0.05), (0.1, 0.1), (0.02, 0.02), (0.5, 0.1)])
def test_the_interval_covers_the_gap_nearly_as_often_as_it_says(up, down):
    """Exactly, over all outcomes of 30 examples: 95 %, less what discreteness costs."""
    n, covered = 30, 0.0
    for ups in range(n + 1):
        for downs in range(n + 1 - ups):
            row = difference(torch.tensor([1] * ups + [-1] * downs + [0] * (n - ups - downs)))
            if row.low <= up - down <= row.high:
                covered += float(
                    multinomial.pmf([ups, downs, n - ups - downs], n, [up, down, 1 - up - down])
                )
    assert covered > 0.93


# ─ medians ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("n", "low", "high"), [(1, 0, 0), (5, 0, 4), (6, 0, 5), (10, 1, 8), (25, 7, 17)]
)
def test_the_interval_of_a_median_is_that_of_the_tables(n, low, high):
    """Order statistics, counted from 0, as for the sign test: of 25 values the 8th and 18th."""
    row = number(quantile(torch.arange(n), torch.arange(n), 0.5))
    assert (row.low, row.high) == (low, high)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.75])
def test_order_statistics_cover_a_quantile_at_least_as_often_as_they_say(level):
    draws = np.random.default_rng(0).exponential(size=(400, 40))
    truth = -np.log(1 - level)
    covered = [low <= truth <= high for low, high in (order_statistics(d, level) for d in draws)]
    assert np.mean(covered) > 0.93  # 95 % or more, less two standard errors of 400 draws


def test_the_interval_of_a_quantile_is_as_wide_as_its_sources_leave_it():
    """100 sources with 9 equal pairs each are as good as 100 pairs; 900 sources give a third."""
    draws = torch.from_numpy(np.random.default_rng(0).exponential(size=900))
    source = torch.arange(100).repeat_interleave(9)
    copies = number(quantile(draws[:100].repeat_interleave(9), source, 0.5))
    hundred = number(quantile(draws[:100], torch.arange(100), 0.5))
    apart = number(quantile(draws, torch.arange(900), 0.5))
    assert copies.high - copies.low == pytest.approx(hundred.high - hundred.low, rel=0.2)
    assert apart.high - apart.low < 0.6 * (copies.high - copies.low)
    assert (copies.n, hundred.n) == (100, 100)


def test_woodruffs_interval_covers_the_median_about_as_often_as_it_says():
    draws = torch.from_numpy(np.random.default_rng(1).exponential(size=(100, 40)))
    source = torch.arange(40).repeat_interleave(2)
    rows = [number(quantile(sample.repeat_interleave(2), source, 0.5)) for sample in draws]
    covered = np.mean([row.low <= np.log(2) <= row.high for row in rows])
    assert covered > 0.9  # 95 %, less two standard errors of 100 draws


@pytest.mark.parametrize("pairs", [1, 2])
def test_a_quantile_of_equal_values_is_certain(pairs):
    source = torch.arange(20).repeat_interleave(pairs)
    row = number(quantile(torch.zeros(20 * pairs), source, 0.25))
    assert (row.value, row.low, row.high) == (0, 0, 0)


# ─ intervals of the measure's own ─────────────────────────────────────────────────────────────


def test_an_interval_of_the_measures_own_stays_as_it_is():
    rows = [exact(3.0, 7), estimated(0.5, 0.6, 0.9, 8)]
    assert [(row.value, row.low, row.high, row.n) for row in shown(rows)] == [
        (3.0, 3.0, 3.0, 7),
        (0.5, 0.5, 0.9, 8),  # widened to the value
    ]
