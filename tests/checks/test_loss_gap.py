from typing import cast

import pytest
from linear_toys import climbing, linear, spread
from masks import FACES, HONEST, behind, finding

from invspec.attacks.fab import FAB
from invspec.attacks.pgd import PGD
from invspec.attacks.square import Square
from invspec.kinds import Attack, Check
from invspec.registry.methods import make


@pytest.mark.parametrize("face", ["logits x 1000", "T 0.01"])
def test_the_margin_breaks_what_a_saturated_loss_cannot(face: str) -> None:
    result = finding("loss_gap", behind(FACES[face]))
    assert result.status == "fails"
    assert result.measured.value > 0.9
    assert result.survivors == 0
    assert result.hint == "try a loss that does not vanish: `loss: margin` or `loss: dlr`"


def test_both_losses_break_the_same_images_of_a_linear_net_of_two_classes() -> None:
    result = finding("loss_gap", linear(), PGD(eps=0.25, steps=10), spread())
    assert (result.status, result.measured.value) == ("passes", 0.0)
    # nobody stands nearer than 0.25: the attack and both losses agree
    assert result.survivors is not None
    assert result.survivors > 0.5


def test_an_attack_that_breaks_all_images_leaves_nothing_to_try() -> None:
    result = finding("loss_gap", behind(HONEST["plain"]))
    assert (result.status, result.survivors) == ("passes", None)


@pytest.mark.parametrize(
    ("attack", "applies"),
    [(PGD(), True), (PGD(loss="margin"), False), (PGD(eps=0), False), (Square(), False)],
    ids=["ce", "margin", "eps 0", "no gradients"],
)
def test_it_applies_to_attacks_in_a_ball_on_another_loss(attack: Attack, applies: bool) -> None:
    check = cast(Check, make("check", "loss_gap", {}))
    assert check.applies(attack) is applies
    assert not check.applies(FAB())


def test_the_own_loss_is_not_tried_where_the_margin_breaks_nothing() -> None:
    model, counts = climbing()
    result = finding("loss_gap", model, PGD(eps=0.05, steps=3), spread())
    assert (result.status, result.measured.value) == ("passes", 0.0)
    # as many passes as those of the attack
    assert counts == [16] * 6
