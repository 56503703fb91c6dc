from __future__ import annotations

import math

import pytest
import torch

from invspec.ops.transitions import faded, power_transition, sigmoid_transition
from invspec.ops.types import Norm

RHO, MAX_LPIPS = 100.0, 0.03


def perturbations(*lengths: float) -> torch.Tensor:
    """Perturbations (B, 1, 2, 2) of these linf lengths."""
    return torch.tensor(lengths).view(-1, 1, 1, 1) * torch.tensor([-1.0, 0.5, 0.0, 0.2]).view(
        1, 1, 2, 2
    )


def faded_by(length: float, lpips: float) -> float:
    return sigmoid_transition(perturbations(length), torch.tensor([lpips]), MAX_LPIPS, RHO).item()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_power_transition_is_1_without_a_perturbation_and_0_from_eps_on(norm: Norm) -> None:
    delta = torch.tensor([[0.0, 0.0], [0.3, 0.0], [0.0, -0.31], [1.0, 1.0]])
    assert power_transition(delta, 0.3, 12, norm).tolist() == [1, 0, 0, 0]


def test_the_power_transition_falls_strictly() -> None:
    weights = power_transition(torch.linspace(0, 0.3, 50).view(-1, 1), eps=0.3, rho=2)
    assert (weights.diff() < 0).all()


@pytest.mark.parametrize(
    ("share", "rho", "weight"), [(0.5, 12, 2**-12), (0.25, 1, 0.75), (0.1, 10, 0.9**10)]
)
def test_the_power_transition_at_a_share_of_eps(share: float, rho: float, weight: float) -> None:
    result = power_transition(perturbations(0.03 * share), 0.03, rho)
    torch.testing.assert_close(result, torch.tensor([weight]))


def test_with_eps_0_the_label_does_not_fade() -> None:
    assert power_transition(torch.zeros(2, 3), eps=0.0, rho=12).tolist() == [1, 1]


@pytest.mark.parametrize("length", [1e-4, 0.001, 0.03, 0.5, 1.0])
def test_at_max_lpips_half_of_the_label_remains_whatever_the_size(length: float) -> None:
    assert faded_by(length, MAX_LPIPS) == 0.5


@pytest.mark.parametrize("length", [0.001, 0.03, 0.5])
def test_the_sigmoid_transition_rises_to_1_as_lpips_falls_to_0(length: float) -> None:
    assert faded_by(length, 1e-7) == pytest.approx(1)
    assert faded_by(length, 0) == pytest.approx(1)


@pytest.mark.parametrize(("length", "least"), [(0.03, 0.047), (0.001, 0.475)])
def test_the_sigmoid_transition_falls_to_the_sigmoid_of_minus_rho_times_the_size(
    length: float, least: float
) -> None:
    limit = 1 / (1 + math.exp(RHO * length))
    assert faded_by(length, 1e6) == pytest.approx(limit, abs=1e-6)
    assert limit == pytest.approx(least, abs=5e-4)


def test_the_sigmoid_transition_falls_with_lpips_and_has_the_value_of_its_formula() -> None:
    lpips = torch.tensor([0.01, 0.02, 0.03, 0.06, 0.3])
    weights = sigmoid_transition(perturbations(*[0.02] * 5), lpips, MAX_LPIPS, RHO)
    expected = [1 / (1 + math.exp(-2 * (0.03 / value - 1))) for value in lpips.tolist()]
    assert weights.tolist() == pytest.approx(expected)
    assert (weights.diff() < 0).all()


@pytest.mark.parametrize("lpips", [0.0, 0.03, 0.5])
def test_an_unperturbed_image_keeps_its_label(lpips: float) -> None:
    assert faded_by(0.0, lpips) == 1
    assert faded_by(9e-9, lpips) == 1


def test_a_faded_label_shares_the_rest_among_all_classes() -> None:
    result = faded(torch.tensor([2, 0, 1]), torch.tensor([1.0, 0.2, 0.0]), classes=4)
    expected = [[0, 0, 1, 0], [0.4, 0.2, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25]]
    torch.testing.assert_close(result, torch.tensor(expected))
