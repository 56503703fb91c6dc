"""The chance of training: pooled over nets, correlated between settings, paired where declared."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from invspec.analysis.trainings import Chance, Repetition

CHANCE = Chance(20_000)


def repetition(net, values, setting="clean", **fields):
    values = np.asarray(values, dtype=float)
    seeds = tuple(range(len(values)))
    return Repetition("pool", net, setting, "accuracy", values, seeds, **fields)


def half_width(replicates):
    low, high = np.quantile(replicates, [0.025, 0.975])
    return (high - low) / 2


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_seeds_of_a_single_net_give_a_t_interval(seeds):
    values = np.random.default_rng(0).normal(size=seeds)
    (deviation,) = CHANCE.deviations([repetition("a", values)])
    expected = t.ppf(0.975, seeds - 1) * values.std(ddof=1) / np.sqrt(seeds)
    assert deviation.df == seeds - 1
    assert half_width(deviation.replicates) == pytest.approx(expected, rel=0.06)


def test_nets_share_their_variance_and_add_their_degrees_of_freedom():
    nets = [repetition(name, [0.0, 0.2]) for name in "abcd"]
    deviations = CHANCE.deviations(nets)
    assert {deviation.df for deviation in deviations} == {4}
    expected = t.ppf(0.975, 4) * 0.02**0.5 / np.sqrt(2)
    for deviation in deviations:
        assert half_width(deviation.replicates) == pytest.approx(expected, rel=0.06)


def test_a_net_that_varies_more_than_the_pool_keeps_its_own_variance():
    wild, *tame = CHANCE.deviations(
        [repetition("wild", [0, 1, 2]), *(repetition(f"{n}", [0, 0.1, 0.2]) for n in range(9))]
    )
    own = t.ppf(0.975, wild.df) * 1 / np.sqrt(3)
    assert half_width(wild.replicates) == pytest.approx(own, rel=0.06)
    assert half_width(tame[0].replicates) < 0.5 * own


def test_nets_of_one_seed_have_the_variance_of_nets_with_several():
    alone, several = CHANCE.deviations([repetition("a", [0.3]), repetition("b", [0.1, 0.2, 0.3])])
    assert alone.df == several.df == 2
    ratio = half_width(alone.replicates) / half_width(several.replicates)
    assert ratio == pytest.approx(np.sqrt(3), rel=0.06)


def test_nothing_is_known_where_all_nets_have_one_seed():
    assert CHANCE.deviations([repetition("a", [0.3]), repetition("b", [0.2])]) == [None, None]


def test_pools_do_not_lend_each_other_variances():
    other = Repetition("other", "b", "clean", "accuracy", np.array([0.2]), (0,))
    known, unknown = CHANCE.deviations([repetition("a", [0.1, 0.3]), other])
    assert known is not None
    assert unknown is None


def test_deviations_of_nets_are_independent():
    first, second = CHANCE.deviations([repetition("a", [0, 1, 2]), repetition("b", [0, 1, 2])])
    assert abs(np.corrcoef(np.sign(first.replicates), np.sign(second.replicates))[0, 1]) < 0.05


@pytest.mark.parametrize(("other", "expected"), [([0, 1, 2], 0.0), ([2, 1, 0], 2.0)])
def test_settings_of_a_net_keep_their_correlation(other, expected):
    parts = [repetition("a", [0, 1, 2]), repetition("a", other, setting="pgd")]
    first, second = CHANCE.deviations(parts)
    difference = half_width(first.replicates - second.replicates)
    assert difference == pytest.approx(expected * half_width(first.replicates), abs=1e-6)


def test_paired_nets_differ_by_what_their_seeds_differ():
    """Differences of 0.1 and 0.3: a paired t interval with 1 degree of freedom."""
    parts = [
        repetition("a", [0.0, 2.0], block="x"),
        repetition("b", [0.1, 2.3], block="x"),
    ]
    first, second = CHANCE.deviations(parts)
    expected = t.ppf(0.975, 1) * np.std([0.1, 0.3], ddof=1) / np.sqrt(2)
    found = half_width(second.replicates - first.replicates)
    assert found == pytest.approx(expected, rel=0.06)
    alone = half_width(np.subtract(*[d.replicates for d in CHANCE.deviations(unpaired(parts))]))
    assert alone > 2 * found


def unpaired(parts):
    return [repetition(part.net, part.values) for part in parts]


def test_paired_nets_vary_together():
    parts = [repetition("a", [0.0, 2.0], block="x"), repetition("b", [0.1, 2.3], block="x")]
    first, second = CHANCE.deviations(parts)
    assert np.corrcoef(np.sign(first.replicates), np.sign(second.replicates))[0, 1] > 0.8


def test_nets_with_other_seeds_or_another_block_are_not_paired():
    values = [0.0, 0.2]
    for other in (
        repetition("b", values, block="y"),
        Repetition("pool", "b", "clean", "accuracy", np.array(values), (5, 6), block="x"),
        repetition("b", values),
    ):
        first, second = CHANCE.deviations([repetition("a", values, block="x"), other])
        signs = np.sign(first.replicates), np.sign(second.replicates)
        assert abs(np.corrcoef(*signs)[0, 1]) < 0.05


def test_an_infinite_value_lends_no_variance():
    finite, infinite = CHANCE.deviations(
        [repetition("a", [0.0, 0.2, 0.4]), repetition("b", [0.1, np.inf, 0.3])]
    )
    assert np.isfinite(finite.replicates).all()
    assert np.isfinite(infinite.replicates).all()


def test_equal_nets_are_certain():
    deviations = CHANCE.deviations([repetition("a", [1.0, 1.0]), repetition("b", [1.0, 1.0])])
    assert not any(deviation.replicates.any() for deviation in deviations)


def test_deviations_do_not_depend_on_the_order_of_numbers():
    parts = [repetition("a", [0, 1, 2]), repetition("b", [0, 3, 1]), repetition("c", [1, 1, 2])]
    forth, back = CHANCE.deviations(parts), CHANCE.deviations(parts[::-1])[::-1]
    for one, other in zip(forth, back, strict=True):
        np.testing.assert_allclose(np.abs(one.replicates), np.abs(other.replicates), rtol=1e-9)
