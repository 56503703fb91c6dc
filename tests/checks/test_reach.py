from typing import cast

import pytest
from linear_toys import linear, spread
from masks import finding

from invspec.attacks.apgd import APGD
from invspec.attacks.pgd import PGD
from invspec.attacks.pgd_conf import PGDConf
from invspec.kinds import Attack, Check
from invspec.registry.methods import make


@pytest.mark.parametrize(
    ("attack", "ratio"),
    [
        (PGD(eps=0.3, steps=10, step_size=0.01), 1 / 3),
        (PGD(eps=0.3, steps=30, step_size=0.01), 1.0),
        (PGD(eps=0.3, steps=5, relative_step_size=0.1), 0.5),
        (PGD(eps=0.3, steps=40, relative_step_size=0.1), 4.0),
        (PGDConf(eps=0.3, steps=200, step_size=0.001), 2 / 3),
    ],
    ids=["short", "exact", "short shares", "long", "pgd_conf"],
)
def test_steps_are_added_up(attack: Attack, ratio: float) -> None:
    result = finding("reach", linear(), attack, spread())
    assert result.measured.value == pytest.approx(ratio)
    assert result.status == ("passes" if ratio >= 1 else "fails")


def test_the_reason_has_all_three_numbers() -> None:
    result = finding("reach", linear(), PGD(eps=0.3, steps=10, step_size=0.01), spread())
    assert result.reason == "10 steps of length 0.01 cannot reach eps 0.3"


@pytest.mark.parametrize("attack", [PGD(), PGD(eps=0, step_size=0.1), APGD()])
def test_it_does_not_apply_to_steps_that_are_derived_from_eps(attack: Attack) -> None:
    assert not cast(Check, make("check", "reach", {})).applies(attack)
