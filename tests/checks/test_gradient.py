from typing import cast

import pytest
from linear_toys import linear, spread
from masks import FACES, behind, finding

from invspec.attacks.pgd import PGD
from invspec.kinds import Attack, Check
from invspec.registry.methods import make


def test_gradients_of_a_linear_net_do_not_vanish() -> None:
    assert finding("gradient", linear(), split=spread()).measured.value == 0


def test_where_the_cross_entropy_saturates_the_margin_is_offered() -> None:
    result = finding("gradient", behind(FACES["logits x 1000"]))
    assert (result.status, result.measured.value) == ("fails", 1.0)
    assert result.reason == (
        "the input gradients of 64 of 64 images are exactly 0, and PGD on the margin leaves"
        " 0 of the 64 images that withstood the attack"
    )
    assert result.hint == "try a loss that does not vanish: `loss: margin` or `loss: dlr`"
    assert result.survivors == 0


def test_the_loss_is_the_attacks_own() -> None:
    attack = PGD(eps=0.2, steps=40, loss="margin")
    assert finding("gradient", behind(FACES["logits x 1000"]), attack).status == "passes"
    result = finding("gradient", behind(FACES["one-hot"]), attack)
    assert result.status == "fails"
    assert "margin" not in result.hint


def test_where_the_margin_does_not_help_it_is_not_offered() -> None:
    result = finding("gradient", behind(FACES["quantised input"]))
    assert "not scaled, rounded or cut" in result.hint
    assert result.survivors is not None
    assert result.survivors > 0.9


@pytest.mark.parametrize(("name", "applies"), [("pgd", True), ("nspgd", True), ("square", False)])
def test_it_applies_to_attacks_that_follow_gradients(name: str, applies: bool) -> None:
    check, attack = (
        cast(Check, make("check", "gradient", {})),
        cast(Attack, make("attack", name, {})),
    )
    assert check.applies(attack) is applies
