"""Numbers of two studies side by side: what is paired, what is decided, what is listed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_specs import SWEEPS

from invspec.analysis.contrasts import contrasts
from invspec.analysis.overlap import overlap
from invspec.analysis.sides import Side
from invspec.data import Outcomes, Row
from invspec.errors import SpecError
from invspec.ops.types import SHARES
from invspec.plan.matching import read
from invspec.scoring.rows import estimated, mean_distance

ONE = (
    SWEEPS.replace("seeds: [0, 1]", "seeds: [0]")
    .replace("[linear, lenet]", "linear")
    .replace("[rotations, plain]", "plain")
)
N = 400


@pytest.fixture
def side(planned, toy_store):
    def of(outcomes, text=ONE, weights="same"):
        plan = planned(text)
        return Side(plan, toy_store(plan, outcomes), lambda task: weights)

    return of


def shares(right, n=N):
    """The first examples are right, of each measure alike."""
    return lambda coords: np.arange(n) < right


def accuracy(rows):
    (row,) = [row for row in rows if row.coords["measure"] == "accuracy"]
    return row


def contains_zero(row):
    return row.low < 0 < row.high


def width(row):
    return row.high - row.low


def test_a_difference_on_the_same_examples_is_paired(side):
    """Ten examples differ: unpaired, the interval would be six times as wide."""
    row = accuracy(contrasts(side(shares(200)), side(shares(210))))
    assert row.difference == pytest.approx(0.025)
    assert (row.outcome, row.overlap.kind, row.overlap.common) == ("higher", "same", N)
    # McNemar: the standard error of ten changes in one direction is sqrt(10) / 400
    assert width(row) == pytest.approx(2 * 1.96 * np.sqrt(10) / N, rel=0.2)


def test_one_changed_example_decides_nothing(side):
    row = accuracy(contrasts(side(shares(200)), side(shares(201))))
    assert row.outcome == row.raw == "not decided"
    assert contains_zero(row)


def test_other_data_sets_are_not_paired(side):
    other = ONE.replace("digits: {}", "digits: {use: fake, classes: 10}")
    row = accuracy(contrasts(side(shares(200)), side(shares(210), other)))
    assert (row.overlap.kind, row.overlap.reason) == ("none", "other data sets")
    assert row.outcome == "not decided"
    # two independent shares of one half
    assert width(row) == pytest.approx(2 * 1.96 * np.sqrt(2 * 0.25 / N), rel=0.15)


def test_a_smaller_sample_is_paired_where_it_overlaps(side):
    row = accuracy(contrasts(side(shares(200)), side(shares(100, n=200))))
    assert (row.overlap.kind, row.overlap.common, row.overlap.total) == ("in part", 200, N)


def test_equal_outcomes_are_equal_to_the_last_bit(side):
    rows = contrasts(side(shares(200)), side(shares(200)))
    assert {row.outcome for row in rows} == {"equal"}
    assert {(row.difference, row.low, row.high) for row in rows} == {(0, 0, 0)}
    assert {row.p for row in rows} == {None}


def test_equal_outcomes_of_other_tasks_leave_room_for_chance(side):
    other = ONE.replace("pgd_kamath", "pgd_kamath, steps: 3")
    rows = contrasts(side(shares(400)), side(shares(400), other))
    robust = [row for row in rows if row.coords["measure"] == "robustness"]
    assert {row.outcome for row in robust} == {"equal"}
    assert all(map(contains_zero, robust))


def test_as_many_right_on_other_examples_is_not_equal(side):
    row = accuracy(contrasts(side(shares(200)), side(lambda coords: np.arange(N) >= 200)))
    assert (row.outcome, row.difference) == ("not decided", 0)


def test_better_is_known_where_a_stronger_attack_moves_a_number_one_way(side):
    rows = contrasts(side(shares(100)), side(shares(300)))
    assert all(row.is_better for row in rows)
    fooled = ONE.replace("rate_of_invariance", "fooling_rate")
    rows = contrasts(side(shares(100), fooled), side(shares(300), fooled))
    assert {row.coords["measure"]: row.is_better for row in rows} == {
        "accuracy": True,
        "robustness": False,
    }


def test_outcomes_are_corrected_for_their_number(side):
    """One of four differences is barely decided alone."""
    rng = np.random.default_rng(0)
    noise = {eps: rng.random(N) < 0.5 for eps in (0, 8 / 255, 0.1)}

    def other(coords):
        right = noise.get(coords.get("pgd.eps"), noise[0]).copy()
        if coords["measure"] == "accuracy":
            right[:8] = True
        return right

    rows = contrasts(side(lambda c: noise.get(c.get("pgd.eps"), noise[0])), side(other))
    row = accuracy(rows)
    assert row.corrected_p == row.p  # the others are equal, and not tested
    assert {other.p for other in rows if other is not row} == {None}


def test_what_only_one_study_has_is_listed_with_its_number(side):
    fewer = ONE.replace("[0, 8/255, 0.1]", "[0, 0.2]")
    rows = contrasts(side(shares(200)), side(shares(200), fewer))
    alone = [
        (row.outcome, row.coords["pgd.eps"], row.a, row.b) for row in rows if row.raw == "missing"
    ]
    assert [(name, round(float(eps), 4)) for name, eps, *_ in alone] == [
        ("only in A", 0.0314),
        ("only in A", 0.1),
        ("only in B", 0.2),
    ]
    assert all((a is None) != (b is None) for _, _, a, b in alone)


def test_a_number_that_is_not_computed_is_missing_on_its_side(side):
    some = side(lambda c: None if c["measure"] == "accuracy" else np.arange(N) < 200)
    row = accuracy(contrasts(side(shares(200)), some))
    assert (row.outcome, row.reason) == ("missing", "not computed in B")


def test_numbers_of_two_measures_are_not_subtracted(side):
    other = ONE.replace("accuracy: {of: none}", "accuracy: {use: fooling_rate, of: none}")
    row = accuracy(contrasts(side(shares(200)), side(shares(210), other)))
    assert row.outcome == "not comparable"
    assert row.reason == "measured by Accuracy in A, by FoolingRate in B"


def test_infinite_distances_on_both_sides_have_no_difference(side):
    def far(coords):
        return [mean_distance(torch.full((4,), torch.inf), torch.arange(4))]

    row = accuracy(
        contrasts(
            side(far),
            side(lambda c: [mean_distance(torch.tensor([1.0, torch.inf]), torch.arange(2))]),
        )
    )
    assert (row.outcome, row.difference, row.reason) == ("not decided", None, "both are infinite")


def test_scores_without_outcomes_are_not_paired(side):
    def known(value):
        return lambda coords: [estimated(value, value - 0.1, value + 0.1, 100)]

    row = accuracy(contrasts(side(known(0.5)), side(known(0.55))))
    assert row.overlap.kind == "unknown"
    assert width(row) == pytest.approx(2 * 0.1 * np.sqrt(2), rel=0.15)


# ─ trainings ─

SEEDS = ONE.replace("seeds: [0]", "seeds: [0, 1, 2, 3]")


def lucky(shift):
    """Shares that vary by seed, the same way in every study, and a shift."""
    return lambda c: np.arange(N) < 200 + shift + 20 * (c["seed"] - 1.5)


def test_the_same_nets_share_their_chance_of_training(side):
    row = accuracy(contrasts(side(lucky(0), SEEDS), side(lucky(12), SEEDS)))
    assert (row.nets, row.scope, row.outcome) == ("same nets", "trainings", "higher")


def test_nets_trained_again_are_paired_seed_by_seed(side):
    again = side(lucky(12), SEEDS, weights="others")
    row = accuracy(contrasts(side(lucky(0), SEEDS), again))
    assert (row.nets, row.outcome) == ("by seed", "higher")


def test_nets_of_other_trainings_vary_apart(side):
    other = SEEDS.replace("plain: {use: standard}", "plain: {use: standard, lr: 0.02}")
    row = accuracy(contrasts(side(lucky(0), SEEDS), side(lucky(12), other)))
    assert (row.nets, row.outcome) == ("independent trainings", "not decided")
    # seeds differ by 20 of 400 examples each: this is what a t interval makes of it
    spread = np.std([-30, -10, 10, 30], ddof=1) / N
    assert width(row) > 2 * 2 * spread / 2 * np.sqrt(2)


def test_trainings_that_both_specs_pair_are_paired(side):
    paired = SEEDS.replace("seeds: [0, 1, 2, 3]", "seeds: {paired: [0, 1, 2, 3]}")
    other = paired.replace("plain: {use: standard}", "plain: {use: standard, lr: 0.02}")
    row = accuracy(contrasts(side(lucky(0), paired), side(lucky(12), other)))
    assert (row.nets, row.outcome) == ("by seed", "higher")


def test_one_seed_speaks_of_the_nets_at_hand(side):
    assert accuracy(contrasts(side(shares(200)), side(shares(300)))).scope == "nets"


def test_a_net_that_both_have_counts_once_in_the_pool(side):
    alone = side(lucky(0), SEEDS)
    row = accuracy(contrasts(alone, side(lucky(0), SEEDS)))
    assert row.a.df == row.b.df == 3


# ─ matches ─


def test_a_match_pairs_a_renamed_label(side):
    renamed = ONE.replace("plain", "usual")
    first, second = side(shares(200)), side(shares(210), renamed)
    assert {row.outcome for row in contrasts(first, second)} == {"only in A", "only in B"}
    rows = contrasts(first, second, read(["plain=usual"]))
    assert accuracy(rows).outcome == "higher"
    assert accuracy(rows).in_b == {"defence": "usual"}
    with pytest.raises(SpecError, match="B has no label 'other'"):
        contrasts(first, second, read(["plain=other"]))


def test_the_overlap_of_pairs_is_that_of_their_sources(side):
    def pairs(coords):
        index = torch.tensor([0, 1, 2])
        return [Row(Outcomes(torch.tensor([True, False, True]), index, SHARES))]

    first, second = side(pairs), side(pairs)
    assert overlap(first.groups[0], second.groups[0]).common == 3


def test_nets_of_other_seeds_are_not_the_same_nets(side):
    fewer = SEEDS.replace("seeds: [0, 1, 2, 3]", "seeds: [0, 1]")
    row = accuracy(contrasts(side(lucky(0), SEEDS), side(lucky(0), fewer)))
    assert (row.nets, row.outcome) == ("independent trainings", "not decided")
    assert (row.a.seeds, row.b.seeds) == (4, 2)


def test_equal_infinite_distances_of_one_task_are_equal(side):
    def far(coords):
        return [mean_distance(torch.full((4,), torch.inf), torch.arange(4))]

    row = accuracy(contrasts(side(far), side(far)))
    assert (row.outcome, row.low, row.high) == ("equal", 0, 0)
