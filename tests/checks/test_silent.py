from typing import cast

import pytest
import torch
from linear_toys import Lead, greys, linear, spread
from masks import finding

from invspec.attacks.fgsm import FGSM
from invspec.attacks.pgd import PGD
from invspec.kinds import Attack, Check
from invspec.registry.methods import make

ATTACK = PGD(eps=0.1, steps=10, step_size=0.01, random_start=False)


def test_images_that_are_adversarial_only_on_the_way_are_counted() -> None:
    # wrong between 0.03 and 0.06 from the greys of 0.1 and 0.9, right again beyond
    def lead(x: torch.Tensor) -> torch.Tensor:
        value = x.mean(1) - 0.5
        moved = 0.4 - value.abs().detach()
        return value * (1 - 2.0 * ((moved > 0.03) & (moved < 0.06)))

    result = finding("silent", Lead(lead), ATTACK, greys(*([0.1, 0.9] * 8)))
    assert (result.status, result.measured.value) == ("fails", 1.0)
    assert result.reason.startswith("16 of the 16 images that withstood the attack")


def test_an_attack_that_meets_no_adversarial_image_is_not_silent() -> None:
    result = finding("silent", linear(), ATTACK, spread())
    assert (result.status, result.measured.value) == ("passes", 0.0)


@pytest.mark.parametrize(
    ("attack", "applies"),
    [(PGD(), True), (PGD(restarts=2), False), (PGD(eps=0), False), (FGSM(), False)],
)
def test_it_applies_to_pgd_with_one_restart(attack: Attack, applies: bool) -> None:
    assert cast(Check, make("check", "silent", {})).applies(attack) is applies
