"""Settings that can run and are hardly meant."""

from __future__ import annotations

from typing import Any

import pytest
from spec_toys import resolved

from invspec.plan import planner, validation


def warnings(**changes: Any) -> list[str]:
    return [str(warning) for warning in validation.warnings(planner.plan(resolved(**changes)))]


def of_pgd(**fields: Any) -> list[str]:
    return warnings(attacks={"pgd": fields})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"eps": 1},
        {"eps": 0, "steps": 1, "step_size": 0.01},
        {"eps": 0.3, "steps": 30, "step_size": 0.01},
        {"eps": 0.3, "steps": 10, "relative_step_size": 0.1},
        {"eps": 5, "norm": "l2"},
        {"eps": 100, "norm": "l1"},
        {"eps": 8, "eps_space": "standardised"},
    ],
)
def test_settings_that_papers_mean_raise_no_doubt(fields: dict[str, Any]) -> None:
    data = {"fake": {"shape": [1, 12, 12]}}
    assert warnings(attacks={"pgd": fields}, datasets=data) == []


def test_eps_in_levels_is_doubted() -> None:
    (text,) = of_pgd(eps=8)
    assert "attacks.pgd.eps: eps 8 in linf is more than 1" in text
    assert text.endswith("hint: was 8/255 meant?")


@pytest.mark.parametrize(
    ("fields", "bound"),
    [
        ({"eps": 128, "norm": "l2"}, "more than 12"),
        ({"eps": 200, "norm": "l1"}, "more than 144"),
        ({"eps": {"sweep": [0.1, 0.3, 16]}}, "eps 16 in linf is more than 1"),
    ],
)
def test_each_norm_has_its_own_box(fields: dict[str, Any], bound: str) -> None:
    data = {"fake": {"shape": [1, 12, 12]}}
    (text,) = warnings(attacks={"pgd": fields}, datasets=data)
    assert bound in text


def test_the_bounds_of_the_data_decide() -> None:
    points = {"fake": {"shape": [1, 1, 4], "bounds": [None, None]}}
    assert warnings(attacks={"pgd": {"eps": 8}}, datasets=points) == []
    wide = {"fake": {"bounds": [-10, 10]}}
    assert warnings(attacks={"pgd": {"eps": 8}}, datasets=wide) == []
    (text,) = warnings(attacks={"pgd": {"eps": 21}}, datasets=wide)
    assert "(pixels from -10 to 10)" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"eps": 0.3, "steps": 10, "step_size": 0.01}, "10 steps of 0.01 make 0.1"),
        ({"eps": 0.3, "steps": 2, "relative_step_size": 0.25}, "2 steps of 0.075 make 0.15"),
        ({"eps": 8 / 255, "steps": 5, "step_size": "1/255", "random_start": False}, "the edge of"),
    ],
)
def test_steps_that_cannot_reach_eps_are_doubted(fields: dict[str, Any], words: str) -> None:
    (text,) = of_pgd(**fields)
    assert "attacks.pgd.step_size: " in text
    assert words in text
    assert "out of reach" in text


@pytest.mark.parametrize(
    ("attacks", "place"),
    [
        ({"pgd": {"use": "msd", "steps": 5}}, "attacks.pgd.balls.0.step_size"),
        ({"pgd": {"use": "square", "eps": 8}}, "attacks.pgd.eps"),
        ({"pgd": {"use": "autoattack", "eps": 8}}, "attacks.pgd.eps"),
        ({"pgd": {"use": "fgsm", "eps": 8}}, "attacks.pgd.eps"),
        ({"pgd": {"use": "pgd_conf", "eps": 0.3, "steps": 40}}, "attacks.pgd.step_size"),
        ({"pgd": {"use": "bim", "eps": 0.3}}, "attacks.pgd.step_size"),
    ],
)
def test_every_attack_with_a_ball_is_looked_at(attacks: dict[str, Any], place: str) -> None:
    assert any(place in text for text in warnings(attacks=attacks))


def test_the_attacks_of_defences_are_looked_at() -> None:
    attack = {"use": "pgd", "eps": 8, "steps": 7, "step_size": 2}
    changed = {"standard": {"use": "adversarial_training", "attack": attack}}
    (text,) = warnings(defences=changed)
    assert "defences.standard.attack.eps: eps 8" in text


def test_a_smoke_run_shortens_attacks_without_a_warning() -> None:
    spec = resolved(attacks={"pgd": {"eps": 0.3, "steps": 40, "step_size": 0.01}}).smoke()
    assert validation.warnings(planner.plan(spec)) == []
