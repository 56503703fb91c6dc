import math
from typing import Any, ClassVar, Literal, cast

import pytest
import torch
from attack_toys import SHAPE, Toy
from linear_toys import greys, linear, spread
from masks import finding
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.attacks.sphere_shift import SphereShift
from invspec.data import Batch, Perturbed, TensorSplit
from invspec.kinds import Attack, Check
from invspec.ops.draws import Draws
from invspec.registry.methods import make


class Shift(Attack):
    """Adds `by` to every pixel, whatever eps is."""

    eps: float = 0.1
    norm: Literal["linf", "l2", "l1", "l0"] = "linf"
    by: float = 0.1

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        return Perturbed.costing(batch.x + self.by, 0, 0)


class Loose(Shift):
    leaves_bounds: ClassVar[bool] = True


def status(attack: Attack, split: TensorSplit | None = None) -> str:
    return finding("budget", linear(), attack, split or greys(0.2, 0.3, 0.7)).status


@pytest.mark.parametrize(("norm", "length"), [("linf", 0.1), ("l2", 0.2), ("l1", 0.4), ("l0", 4.0)])
def test_the_length_of_four_equal_pixels_is_allowed_and_no_more(norm: Any, length: float) -> None:
    assert status(Shift(norm=norm, eps=length)) == "passes"
    assert status(Shift(norm=norm, eps=length * 0.999)) == "fails"


@pytest.mark.parametrize("eps", [1e-4, 1e-2, 0.3])
def test_what_float32_rounds_off_is_no_excess(eps: float) -> None:
    for norm in ("linf", "l2"):
        result = finding("budget", linear(), PGD(eps=eps, norm=norm, steps=5), spread())
        assert result.status == "passes"


def test_pixels_out_of_bounds_are_named() -> None:
    result = finding("budget", linear(), Shift(eps=0.5, by=0.4), greys(0.2, 0.9))
    assert result.reason == "1 of 2 images of the attack are out of the bounds of pixels"
    assert status(Loose(eps=0.5, by=0.4), greys(0.2, 0.9)) == "passes"


def test_images_out_of_the_ball_are_named() -> None:
    result = finding("budget", linear(), Shift(by=0.2), greys(0.2, 0.7))
    assert result.reason == "2 of 2 images of the attack are out of its ball"


def test_a_ball_can_be_measured_in_standardised_pixels() -> None:
    x = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(0))
    model = Toy().eval().requires_grad_(False)
    attack = PGD(eps=0.1, steps=5, eps_space="standardised")
    split = TensorSplit(x, model(x).argmax(1))
    assert finding("budget", model, attack, split).status == "passes"


def test_points_without_bounds_stay_in_the_ball() -> None:
    split = greys(-5.0, 0.0, 5.0, bounds=(-math.inf, math.inf))
    assert status(Shift(), split) == "passes"
    assert status(Shift(by=0.2), split) == "fails"


def test_it_does_not_apply_to_attacks_that_promise_neither_ball_nor_box() -> None:
    check = cast(Check, make("check", "budget", {}))
    assert check.applies(PGD())
    assert not check.applies(SphereShift())
