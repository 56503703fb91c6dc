"""The swap of the strong feature with a weak one: by hand, and against the shift."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.exclusive_shifts import WeakShift
from invspec.attacks.strong_swap import StrongSwap
from invspec.data import Batch
from invspec.datasets.exclusive_features import ExclusiveFeatures
from invspec.kinds import Attack
from invspec.ops.contrast import signed
from invspec.ops.draws import PerExample

DATA = ExclusiveFeatures(deviation=0.5, test=8_000)


def points() -> Batch:
    (batch,) = DATA.load("test").batches(8_000)
    return batch


def attacked(attack: Attack, batch: Batch, seed: str = "task") -> Tensor:
    rng = PerExample(seed, batch.index)
    return attack.perturb(nn.Identity(), batch, rng).x_adv.flatten(1)


def of_one_point(*features: float) -> Batch:
    x = torch.tensor(features).view(1, 1, 1, -1)
    return Batch(x, torch.ones(1, dtype=torch.int64), torch.arange(1), (-math.inf, math.inf))


def test_chances_are_the_ratios_of_two_densities_by_hand() -> None:
    # class 1, alpha 0, p 1: log N(x; -1, 1/2) - log N(x; 0, 1) is -2 (x + 1)^2 + x^2 / 2 + constant
    chances = StrongSwap(alpha=0, p=1, reach=3).chances(
        torch.tensor([[1.0, -1.0, 0.0, -2.0, -1.0]]), torch.tensor([1])
    )
    odds = [math.exp(0.5), math.exp(-2), math.exp(0)]
    assert chances.shape == (1, 3)
    assert chances[0].tolist() == pytest.approx([odd / sum(odds) for odd in odds])


def test_the_strong_feature_of_the_other_class_can_disagree_with_it_by_hand() -> None:
    # by symmetry, alpha 0: weak features at -1 and 1 have odds p + q e and q + p e for e = exp(-8)
    chances = StrongSwap(alpha=0, p=0.75).chances(
        torch.tensor([[1.0, -1.0, 1.0]]), torch.tensor([1])
    )
    e = math.exp(-8)
    odds = [0.75 + 0.25 * e, 0.25 + 0.75 * e]
    assert chances[0].tolist() == pytest.approx([odd / sum(odds) for odd in odds])


def test_chances_count_the_mean_of_the_weak_features() -> None:
    # weak features at 1 and -1, whose own mean is alpha / sqrt(2) = 1: log-odds -2 (x + 1)^2
    # + (x - 1)^2 / 2, which is -8 at 1 and 2 at -1
    chances = StrongSwap(alpha=math.sqrt(2), p=1).chances(
        torch.tensor([[1.0, 1.0, -1.0]]), torch.tensor([1])
    )
    assert chances[0].tolist() == pytest.approx([1 / (1 + math.exp(10)), 1 / (1 + math.exp(-10))])


@pytest.mark.parametrize(("label", "swapped"), [(1, [-1, 9, 1, 0.9]), (0, [0.9, 9, -1, 1])])
def test_the_likely_feature_changes_places_with_the_strong_one(
    label: int, swapped: list[float]
) -> None:
    # sure to within 1e-4: a deviation of 0.1 leaves no chance to other values
    batch = of_one_point(1, 9, -1, 0.9)
    batch = Batch(batch.x, torch.tensor([label]), batch.index, batch.bounds)
    x_adv = attacked(StrongSwap(p=1, deviation=0.1), batch)
    assert x_adv[0].tolist() == pytest.approx(swapped)


def test_features_beyond_reach_stay_where_they_are() -> None:
    batch = points()
    x, x_adv = batch.x.flatten(1), attacked(StrongSwap(reach=5), batch)
    assert torch.equal(x_adv[:, 6:], x[:, 6:])
    assert torch.equal(x_adv.sort(1).values, x.sort(1).values)
    moved = (x_adv != x).sum(1)
    assert torch.equal(moved, torch.full_like(moved, 2))


def test_a_reach_beyond_the_weak_features_takes_all_of_them() -> None:
    x_adv = attacked(StrongSwap(reach=49), of_one_point(1, -1))
    assert x_adv.tolist() == [[-1, 1]]


def test_models_and_tasks_share_the_draws() -> None:
    batch = points()
    assert torch.equal(
        attacked(StrongSwap(), batch), attacked(StrongSwap(), batch, seed="another task")
    )


def test_a_class_after_the_shift_is_distributed_as_the_other_after_the_swap() -> None:
    batch = points()
    shifted = attacked(WeakShift(), batch)[batch.y == 1]
    swapped = attacked(StrongSwap(), batch)[batch.y == 0]
    # Five standard errors of a difference of means, and what 49 features cannot hide: as weak ones
    # go, few of them are as far against the class as a strong one of the other class.
    assert shifted[:, 0].mean().item() == pytest.approx(swapped[:, 0].mean().item(), abs=0.12)
    assert shifted[:, 0].std().item() == pytest.approx(swapped[:, 0].std().item(), abs=0.08)
    for feature in (slice(1, 50), slice(50, None)):
        means = [x[:, feature].mean().item() for x in (shifted, swapped)]
        assert means[0] == pytest.approx(means[1], abs=2 / 49 + 0.015)


@pytest.mark.parametrize("weight", [-1.0, 0.0, 5.0])
def test_no_linear_classifier_withstands_both(weight: float) -> None:
    batch = points()
    y = signed(batch.y)

    def accuracy(x: Tensor) -> float:
        return ((x[:, 1:].sum(1) + weight * x[:, 0]).sign() == y).float().mean().item()

    total = accuracy(attacked(WeakShift(), batch)) + accuracy(attacked(StrongSwap(), batch))
    assert total == pytest.approx(1, abs=0.12)


def test_the_weak_feature_most_against_the_class_would_be_seen() -> None:
    """Why the swap draws: its strong feature is not larger than that of the other class."""
    batch = points()
    x, y = batch.x.flatten(1), signed(batch.y)[:, None]
    most_against = (x[:, 1:50] * y).amin(1)
    drawn = (attacked(StrongSwap(), batch) * y)[:, 0]
    assert (most_against < -1.75).float().mean() > 0.7
    # of the strong feature of the other class: 0.95 * Phi(-1.5) = 0.06
    assert (drawn < -1.75).float().mean().item() == pytest.approx(0.06, abs=0.02)
