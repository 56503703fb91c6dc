from typing import cast

import pytest
from linear_toys import linear, spread
from masks import HONEST, behind, finding

from invspec.attacks.apgd import APGD
from invspec.attacks.autoattack import AutoAttack
from invspec.attacks.pgd import PGD
from invspec.attacks.square import Square
from invspec.kinds import Attack, Check
from invspec.registry.methods import make


def test_more_steps_break_what_short_ones_leave() -> None:
    attack = PGD(eps=0.2, steps=2, step_size=0.02, random_start=False)
    result = finding("converged", behind(HONEST["plain"]), attack)
    assert result.status == "fails"
    assert result.reason.startswith("with 6 steps the attack breaks ")
    assert result.hint == "raise the number of steps: `steps: 6`"
    assert result.survivors is not None
    assert 0 <= result.survivors < 1


def test_an_attack_at_its_optimum_gains_nothing() -> None:
    result = finding("converged", linear(), PGD(eps=0.25, steps=10), spread())
    assert (result.status, result.measured.value) == ("passes", 0.0)


@pytest.mark.parametrize(
    ("attack", "applies"),
    [
        (PGD(), True),
        (PGD(steps=101), False),
        (APGD(loss="dlr_targeted"), False),
        (AutoAttack(), False),
        (Square(), False),
    ],
    ids=["pgd", "long", "targeted", "autoattack", "square"],
)
def test_it_applies_to_attacks_whose_steps_can_be_afforded(attack: Attack, applies: bool) -> None:
    assert cast(Check, make("check", "converged", {})).applies(attack) is applies
