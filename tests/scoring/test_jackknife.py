"""Intervals whose ends are known."""

import math

import pytest
import torch

from invspec.scoring.jackknife import jackknife, mean_and_quantile


def test_a_jackknife_of_a_mean_is_its_standard_error():
    outcomes = (torch.randn(20, generator=torch.Generator().manual_seed(0)) > 0).double()
    without = [(outcomes.sum() - outcome) / 19 for outcome in outcomes]
    value, low, high = jackknife(outcomes.mean().item(), [mean.item() for mean in without])
    # 2.093 is Student's quantile for 19 degrees of freedom
    half = 2.093 * outcomes.std().item() / math.sqrt(20)
    assert (low, high) == (
        pytest.approx(value - half, abs=1e-4),
        pytest.approx(value + half, abs=1e-4),
    )


def test_draws_have_their_mean_and_a_quantile_between_order_statistics():
    draws = torch.arange(1000, dtype=torch.float64).flip(0)
    (mean, low, high), (quantile, least, most) = mean_and_quantile(draws)
    half = 1.96 * draws.std().item() / math.sqrt(1000)
    assert (mean, low, high) == pytest.approx((499.5, 499.5 - half, 499.5 + half))
    assert quantile == pytest.approx(0.95 * 999)
    # 950 +- 1.96 sqrt(1000 * 0.95 * 0.05)
    assert (least, most) == (pytest.approx(936.5, abs=1), pytest.approx(963.5, abs=1))
