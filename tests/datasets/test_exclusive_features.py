"""A distribution on which robustness to a shift excludes robustness to a flip."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from invspec.attacks.exclusive_shifts import StrongFlip, WeakShift
from invspec.data import Batch
from invspec.datasets.exclusive_features import ExclusiveFeatures
from invspec.kinds import Attack
from invspec.ops.contrast import signed
from invspec.ops.draws import PerExample
from invspec.ops.norms import size

DATA = ExclusiveFeatures(d=50, alpha=2, p=0.9, test=40_000)


def points() -> Batch:
    (batch,) = DATA.load("test").batches(40_000)
    return batch


def attacked(attack: Attack, batch: Batch):
    x_adv = attack.perturb(nn.Identity(), batch, PerExample("task", batch.index[:1])).x_adv
    return x_adv.flatten(1)


def test_features_have_the_means_and_the_agreement_of_the_distribution() -> None:
    batch = points()
    x, y = batch.x.flatten(1), signed(batch.y)
    weak = x[:, 1:] * y[:, None]
    # 4 standard errors
    assert weak.mean().item() == pytest.approx(2 / math.sqrt(50), abs=4 / math.sqrt(40_000 * 50))
    assert weak.std().item() == pytest.approx(1, abs=0.01)
    assert (x[:, 0] == y).float().mean().item() == pytest.approx(0.9, abs=0.006)
    assert (weak.sum(1) > 0).float().mean().item() == pytest.approx(0.97725, abs=0.003)


def test_a_deviation_makes_a_gaussian_of_the_strong_feature_and_changes_no_other_number() -> None:
    batch = points()
    (spread,) = DATA.model_copy(update={"deviation": 0.5}).load("test").batches(40_000)
    x, y = spread.x.flatten(1), signed(spread.y)
    assert torch.equal(spread.y, batch.y)
    assert torch.equal(x[:, 1:], batch.x.flatten(1)[:, 1:])
    noise = x[:, 0] - batch.x.flatten(1)[:, 0]
    # 4 standard errors
    assert noise.mean().item() == pytest.approx(0, abs=4 * 0.5 / 200)
    assert noise.std().item() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(80_000))
    assert (noise * y * x[:, 1]).mean().item() == pytest.approx(0, abs=0.011)


def test_no_deviation_is_none_which_keys_leave_out() -> None:
    assert DATA.identity["fields"]["deviation"] is None


def test_the_shift_is_an_linf_perturbation_and_the_flip_an_l1_perturbation() -> None:
    batch = points()
    x = batch.x.flatten(1)
    shifted, flipped = attacked(WeakShift(), batch), attacked(StrongFlip(), batch)
    assert torch.equal(shifted[:, 0], x[:, 0])
    assert torch.equal(flipped[:, 1:], x[:, 1:])
    assert torch.allclose(size(shifted - x, "linf"), torch.tensor(4 / math.sqrt(50)), atol=1e-5)
    assert torch.equal(size(flipped - x, "l1"), torch.full((40_000,), 2.0))


def test_a_class_after_the_shift_is_distributed_as_the_other_after_the_flip() -> None:
    batch = points()
    shifted = attacked(WeakShift(), batch)[batch.y == 1]
    flipped = attacked(StrongFlip(), batch)[batch.y == 0]
    # 5 standard errors of a difference of means
    assert torch.allclose(shifted.mean(0), flipped.mean(0), atol=5 * math.sqrt(2 / 20_000))
    assert torch.allclose(shifted.std(0), flipped.std(0), atol=0.04)


@pytest.mark.parametrize("weight", [-1.0, 0.0, 0.3, 5.0])
def test_the_two_accuracies_of_any_classifier_sum_to_1(weight: float) -> None:
    batch = points()
    y = signed(batch.y)

    def accuracy(x: torch.Tensor) -> float:
        return (((x[:, 1:].sum(1) + weight * x[:, 0]).sign()) == y).float().mean().item()

    total = accuracy(attacked(WeakShift(), batch)) + accuracy(attacked(StrongFlip(), batch))
    assert total == pytest.approx(1, abs=0.01)
