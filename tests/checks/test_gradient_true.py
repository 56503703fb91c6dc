import math

import pytest
import torch
from linear_toys import Lead, greys, linear, spread
from masks import FACES, MASKS, behind, finding


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_linear_net_changes_as_predicted(scale: float) -> None:
    assert finding("gradient_true", linear(scale), split=spread()).measured.value == 0


def test_points_without_bounds_are_measured_by_their_range() -> None:
    split = greys(-5.0, 0.0, 5.0, bounds=(-math.inf, math.inf))
    assert finding("gradient_true", linear(), split=split).measured.value == 0


@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.4, 2.2])
def test_a_gradient_of_another_length_or_sign_is_wrong(factor: float) -> None:
    """The slope of the lead is 1 / factor times the one that autograd reports."""

    def lead(x: torch.Tensor) -> torch.Tensor:
        value = x.mean(1) - 0.5
        return factor * value + ((1 - factor) * value).detach()

    wrong = finding("gradient_true", Lead(lead), split=spread())
    assert (wrong.status, wrong.measured.value) == ("fails", 1.0)


@pytest.mark.parametrize("factor", [0.6, 1.8])
def test_a_gradient_of_nearly_the_right_length_passes(factor: float) -> None:
    def lead(x: torch.Tensor) -> torch.Tensor:
        value = x.mean(1) - 0.5
        return factor * value + ((1 - factor) * value).detach()

    assert finding("gradient_true", Lead(lead), split=spread()).status == "passes"


def test_shattered_and_detached_gradients_fail() -> None:
    for mask in (MASKS["sin(1000 x)"], FACES["detached"]):
        assert finding("gradient_true", behind(mask)).status == "fails"
