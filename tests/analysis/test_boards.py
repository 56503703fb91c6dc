"""Boards: which nets are ranked together, in which order, and which stand apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from workbench import train

from invspec.analysis.boards import LACKS, boards
from invspec.analysis.trials import Holdings, Trial, Trialled, trial_of
from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.checks.alive import Alive
from invspec.data import Finding, Interval
from invspec.defences.standard import Standard
from invspec.kinds import Sample
from invspec.tasks import Examine, Perturb, without_seed

N = 400
ALL = Sample()
WEAK, STRONG = PGD(eps=0.1, steps=5), PGD(eps=0.1, steps=50)


def net(lr, seed=0):
    return train(defence=Standard(lr=lr), seed=seed)


def trialled(trained, attack, right, *, sample=ALL, examples=range(N), unmoved=None):
    """A trial in which the first images withstand the attack; all are right without it."""
    index = torch.tensor(list(examples))
    y = torch.zeros(len(index), dtype=torch.int64)
    attacked = (index >= right).long()
    clean = y if unmoved is None else (index >= unmoved).long()
    task = Perturb(trained, attack, sample, (0, len(index)))
    return Trialled(trial_of(task), trained, (task,), index, y, clean, attacked)


def board(*trials, findings=None):
    (only,) = boards(Holdings(tuple(trials), findings or {}))
    return only


def order(board):
    return [(place.net.defence.lr, place.rank, place.is_tied) for place in board.places]


def test_nets_are_ranked_by_robust_accuracy_and_ties_are_shown():
    """390 and 392 of 400 are not told apart; 100 are."""
    trials = [trialled(net(lr), WEAK, right) for lr, right in ((1, 100), (2, 390), (3, 392))]
    assert order(board(*trials)) == [(3, 1, True), (2, 1, True), (1, 3, False)]


def test_robust_accuracy_is_that_of_the_worst_case():
    weak = trialled(net(1), WEAK, 300)
    strong = trialled(net(1), STRONG, 0, examples=range(N))
    only = board(weak, replace(strong, prediction_adv=(strong.index < 200).long()))
    (place,) = only.places
    # 300 withstand the one, the last 200 the other: 100 both
    assert place.robust.value == 100 / N
    assert [number.value for number in place.alone.values()] == [300 / N, 200 / N]
    assert len(only.trials) == 2


def test_a_net_that_lacks_an_attack_stands_apart():
    trials = [trialled(net(lr), attack, 200) for lr in (1, 2) for attack in (WEAK, STRONG)]
    only = board(*trials, trialled(net(3), WEAK, 390))
    assert [(place.rank, place.reason) for place in only.places] == [
        (1, ""),
        (1, ""),
        (None, LACKS),
    ]
    assert only.places[-1].robust is None
    assert [number.value for number in only.places[-1].alone.values()] == [390 / N]


def test_a_net_on_other_examples_stands_apart():
    trials = [trialled(net(lr), WEAK, 200) for lr in (1, 2)]
    only = board(*trials, trialled(net(3), WEAK, 200, examples=range(100)))
    assert only.examples == N
    assert only.places[-1].reason == "other examples: 100, of which 100 are shared"


def test_threat_models_and_data_sets_have_boards_of_their_own():
    other = replace(net(1), dataset=net(1).dataset.model_copy(update={"test": 30}))
    trials = [
        trialled(net(1), PGD(eps=0.2), 200),
        trialled(net(1), WEAK, 200),
        trialled(net(1), PGD(eps=0.1, norm="l2"), 200),
        trialled(other, WEAK, 200),
        trialled(net(1), PGD(eps=0), 200),
        trialled(net(1), Identity(), N),
    ]
    found = [(own.norm, own.eps, own.dataset.test) for own in boards(Holdings(tuple(trials)))]
    assert found == [("linf", 0.1, 20), ("linf", 0.2, 20), ("l2", 0.1, 20), ("linf", 0.1, 30)]


def test_clean_accuracy_is_of_the_largest_sample_and_invariance_of_transforms():
    turn = RandomRotation(max_degrees=30)
    few = Sample(limit=100)
    only = board(
        trialled(net(1), WEAK, 50, sample=few, examples=range(100)),
        trialled(net(1), Identity(), N, unmoved=380),
        trialled(net(1), turn, 300),
    )
    (place,) = only.places
    assert (place.clean.value, place.clean.n) == (380 / N, N)
    assert [number.value for number in place.invariance.values()] == [300 / N]


def test_seeds_of_a_net_are_one_row_whose_interval_covers_the_chance_of_training():
    trials = [trialled(net(1, seed), WEAK, 150 + 50 * seed) for seed in (0, 1, 2)]
    (place,) = board(*trials).places
    assert (place.seeds, place.robust.df) == ((0, 1, 2), 2)
    assert place.robust.value == pytest.approx(200 / N)
    assert place.robust.margin > 0.2


def test_a_failed_check_marks_a_net_and_does_not_hide_it():
    trials = [trialled(net(lr), WEAK, 200) for lr in (1, 2)]
    fails = Finding("fails", Interval(0, 0, 0, 8), 0.5, "it predicts one class")
    passes = Finding("passes", Interval(1, 1, 1, 8), 0.5)
    findings = {
        Examine(Alive(), net(1), (), ALL, 8): fails,
        Examine(Alive(), net(2), (), ALL, 8): passes,
        # of another attack than the board's
        Examine(Alive(), net(2), (Perturb(net(2), STRONG, ALL, (0, 8)),), ALL, 8): fails,
    }
    places = {place.net: place for place in board(*trials, findings=findings).places}
    assert places[net(1)].doubts == ("it predicts one class (Alive)",)
    assert places[net(2)].doubts == ()
    assert all(place.rank == 1 and place.is_checked for place in places.values())


def test_a_trial_is_the_same_on_every_net_and_seed():
    first, second = (Perturb(net(lr, lr), WEAK, ALL, (0, 8)) for lr in (1, 2))
    assert trial_of(first) == trial_of(second)
    transfer = replace(second, source=replace(first, train=net(3, 5)))
    assert trial_of(transfer) == replace(trial_of(first), source=without_seed(net(3)))
    upwards = replace(second, after=replace(second, attack=PGD(eps=0.05, steps=5)))
    assert trial_of(upwards).earlier == (PGD(eps=0.05, steps=5),)
    assert isinstance(trial_of(first), Trial)
