import math

import pytest
import torch
from pydantic import ValidationError

from invspec.datasets.shuffled_gaussians import ShuffledGaussians
from invspec.ops.contrast import contrast, signed


def loaded(n=20_000, **fields):
    split = ShuffledGaussians(test=n, **fields).load("test")
    (batch,) = split.batches(n)
    return batch.x.flatten(1), batch.y


def test_the_first_coordinate_agrees_with_the_class_with_probability_p():
    x, y = loaded(p=0.8, d=1)
    assert set(x[:, 0].tolist()) == {-1.0, 1.0}
    assert (x[:, 0] == signed(y)).double().mean().item() == pytest.approx(
        0.8, abs=0.012
    )  # four standard errors


def test_the_others_are_unit_gaussians_with_alternating_means():
    x, y = loaded(d=9)
    centred = x * signed(y)[:, None]
    means = centred[:, 1:].mean(0)
    assert means == pytest.approx([1.0, -1.0] * 9, abs=0.03)  # 3 / sqrt(9); four standard errors
    covariance = torch.cov((centred[:, 1:] - means).T)
    torch.testing.assert_close(covariance, torch.eye(18), rtol=0, atol=0.05)


def test_classes_are_equally_likely():
    _, y = loaded(d=1)
    assert y.double().mean().item() == pytest.approx(0.5, abs=0.015)


def test_p_changes_only_the_first_coordinate():
    (few, y), (many, same) = loaded(p=0.5, d=3), loaded(p=0.9, d=3)
    assert y.equal(same)
    assert few[:, 1:].equal(many[:, 1:])
    assert not few[:, 0].equal(many[:, 0])


def test_bounds_are_infinite_and_other_seeds_give_other_points():
    assert ShuffledGaussians().bounds == (-math.inf, math.inf)
    assert not loaded(50, seed=0)[0].equal(loaded(50, seed=1)[0])


def test_the_theorem_needs_a_p_from_one_half_to_below_1():
    for p in (0.4, 1.0):
        with pytest.raises(ValidationError):
            ShuffledGaussians(p=p)


def test_a_coordinate_without_a_partner_is_in_no_pair():
    assert contrast(5).tolist() == [0, 1, -1, 1, -1]
    assert contrast(4).tolist() == [0, 1, -1, 0]
    assert contrast(1).tolist() == [0]
