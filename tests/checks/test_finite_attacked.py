import torch
from linear_toys import Lead, linear, spread
from masks import finding

from invspec.attacks.pgd import PGD

ATTACK = PGD(eps=0.25, steps=5)


def lead(x: torch.Tensor) -> torch.Tensor:
    """Near its boundary at 0.5, the root of a negative number."""
    distance = x.mean(1) - 0.5
    return distance.sign() * (distance.abs() - 0.05).sqrt()


def test_nan_that_only_attacked_images_meet_is_found() -> None:
    """A random move hardly changes the mean of an image, and an attack does."""
    assert finding("finite", Lead(lead), split=spread(), levels=(1.0,)).status == "passes"
    result = finding("finite_attacked", Lead(lead), ATTACK, spread())
    assert result.status == "fails"
    assert result.reason.endswith("at the attacked image")


def test_a_linear_net_is_finite_where_attacks_lead() -> None:
    assert finding("finite_attacked", linear(), ATTACK, spread()).status == "passes"
