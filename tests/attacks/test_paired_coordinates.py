import math

import pytest
import torch
from torch import nn

from invspec.attacks.paired_coordinates import MeanShift, PairSwap
from invspec.data import Batch
from invspec.ops.draws import PerExample


def batch(n=400, length=7):
    x = torch.randn(n, 1, 1, length, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.arange(n) % 2, torch.arange(n), bounds=(-math.inf, math.inf))


def perturbed(attack, examples, task="task"):
    return attack.perturb(nn.Identity(), examples, PerExample(task, examples.index)).x_adv


def test_the_shift_moves_every_pair_against_its_label_by_6_over_sqrt_d():
    examples = batch()
    delta = (perturbed(MeanShift(), examples) - examples.x).flatten(1)
    up = torch.tensor([0, 1, -1, 1, -1, 1, -1]) * 6 / math.sqrt(3)
    torch.testing.assert_close(delta[0], up)  # label 0 is Y = -1
    torch.testing.assert_close(delta[1], -up)
    assert delta.abs().amax().item() == pytest.approx(6 / math.sqrt(3), abs=1e-5)


def test_the_shift_stays_within_the_bounds_of_the_data():
    examples = Batch(torch.full((2, 1, 1, 3), 0.5), torch.tensor([0, 1]), torch.arange(2))
    assert perturbed(MeanShift(), examples).flatten(1).tolist() == [[0.5, 1, 0], [0.5, 0, 1]]


def test_the_swap_exchanges_all_neighbours_of_half_of_the_examples():
    examples = batch()
    x, x_adv = examples.x.flatten(1), perturbed(PairSwap(), examples).flatten(1)
    exchanged = x[:, [0, 2, 1, 4, 3, 6, 5]]
    swapped = (x_adv == exchanged).all(1)
    assert ((x_adv == x).all(1) ^ swapped).all()
    assert 160 < swapped.sum() < 240  # four standard errors


def test_coins_are_the_same_for_every_model():
    assert perturbed(PairSwap(), batch(), "one").equal(perturbed(PairSwap(), batch(), "another"))


def test_a_last_coordinate_without_partner_stays():
    examples = batch(length=4)
    for attack in (PairSwap(), MeanShift()):
        assert perturbed(attack, examples)[..., 3].equal(examples.x[..., 3])
        assert perturbed(attack, examples)[..., 0].equal(examples.x[..., 0])
