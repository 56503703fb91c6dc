import pytest
import torch
from attack_toys import SHAPE, Toy
from linear_toys import Lead, climbing, spread
from masks import FACES, behind, finding

from invspec.attacks.pgd import PGD
from invspec.data import TensorSplit


def test_square_breaks_what_rounded_pixels_hide_from_gradients() -> None:
    result = finding("black_box", behind(FACES["quantised input"]))
    assert result.status == "fails"
    assert "images that withstood attacks with gradients" in result.reason
    assert result.survivors is not None
    assert result.survivors < 0.1


def test_images_that_gradients_break_are_no_failure() -> None:
    result = finding("black_box", behind(FACES["logits x 1000"]))
    assert (result.status, result.survivors) == ("passes", 0.0)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_noise_is_tried_in_every_norm(norm: str) -> None:
    # right only at the images themselves, which have equal pixels
    def lead(x: torch.Tensor) -> torch.Tensor:
        right = (x.mean(1) - 0.5) * (1 - 4 * (x.std(1) > 1e-3).float())
        return right.detach() + 0 * x.mean(1)

    model = Lead(lead)
    result = finding("black_box", model, PGD(eps=0.1, norm=norm, random_start=False), spread())
    assert (result.status, result.measured.value) == ("fails", 1.0)
    assert result.reason.startswith("random noise breaks 16 of 16 images")


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_standardised_ball_is_searched_from_within(norm: str) -> None:
    x = torch.rand(24, *SHAPE, generator=torch.Generator().manual_seed(0))
    model = Toy().eval().requires_grad_(False)
    split = TensorSplit(x, model(x).argmax(1))
    attack = PGD(eps=0.01, norm=norm, eps_space="standardised")
    assert finding("black_box", model, attack, split).status == "passes"


def test_no_ascent_is_run_where_nothing_is_broken() -> None:
    model, counts = climbing()
    result = finding("black_box", model, PGD(eps=0.05, steps=1), spread())
    assert (result.status, result.measured.value) == ("passes", 0.0)
    # the only pass is that of the attack
    assert counts == [16]
