"""Sweeps of several attacks that stand for one."""

from __future__ import annotations

from typing import Any

from plan_toys import BASE

from invspec.plan import alignment
from invspec.spec import document, resolve
from invspec.spec.resolved import Resolved


def entries(**attacks: Any) -> list[Resolved]:
    spec = resolve.resolve(document.Document("x.yaml", {**BASE, "attacks": attacks}))
    return list(spec.entries["attacks"].values())


def coords(attacks: list[Resolved]) -> list[dict[str, Any]]:
    return [
        {name: value for variant in chosen for name, value in variant.coords.items()}
        for chosen in alignment.combinations(attacks)
    ]


def sweep(*values: Any) -> dict[str, Any]:
    return {"sweep": list(values)}


def test_a_field_that_both_sweep_has_one_value_in_both() -> None:
    attacks = entries(pgd={"eps": sweep(0.1, 0.2)}, apgd={"eps": sweep(0.1, 0.2)})
    assert coords(attacks) == [
        {"pgd.eps": 0.1, "apgd.eps": 0.1},
        {"pgd.eps": 0.2, "apgd.eps": 0.2},
    ]


def test_the_order_of_the_first_attack_counts() -> None:
    attacks = entries(pgd={"eps": sweep(0.2, 0.1)}, apgd={"eps": sweep(0.1, 0.2)})
    assert [place["apgd.eps"] for place in coords(attacks)] == [0.2, 0.1]


def test_levels_and_decimals_that_are_one_number_are_one_value() -> None:
    attacks = entries(pgd={"eps": sweep("51/255", 0.4)}, apgd={"eps": sweep(0.2, "102/255")})
    assert len(coords(attacks)) == 2


def test_a_field_that_one_sweeps_is_an_axis_of_its_own() -> None:
    attacks = entries(
        pgd={"eps": sweep(0.1, 0.2), "steps": sweep(5, 10, 20)}, apgd={"eps": sweep(0.1, 0.2)}
    )
    assert len(coords(attacks)) == alignment.count(attacks) == 6
    assert all(place["pgd.eps"] == place["apgd.eps"] for place in coords(attacks))


def test_three_attacks_share_one_axis() -> None:
    swept = {"eps": sweep(0.1, 0.2, 0.3)}
    attacks = entries(pgd=swept, apgd=swept, square=swept)
    assert len(coords(attacks)) == alignment.count(attacks) == 3


def test_an_axis_is_called_after_the_first_attack_on_it() -> None:
    attacks = entries(
        pgd={"eps": sweep(0.1, 0.2)},
        apgd={"eps": sweep(0.2, 0.1), "steps": sweep(5, 10)},
        square={"queries": sweep(50, 100)},
    )
    names = {tuple(alignment.joined(chosen)) for chosen in alignment.combinations(attacks)}
    assert names == {("pgd.eps", "apgd.steps", "square.queries")}


def test_attacks_without_sweeps_are_one_combination() -> None:
    attacks = entries(pgd={}, square={})
    assert coords(attacks) == [{}]
    assert alignment.count(attacks) == 1
