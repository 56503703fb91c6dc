"""Sweeps written out as methods."""

from __future__ import annotations

import pytest
from spec_toys import resolved, variants

from invspec.attacks.pgd import PGD
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.errors import SpecError


def test_a_sweep_gives_one_method_a_value_with_its_coordinate() -> None:
    result = variants(
        "attacks", "pgd", attacks={"pgd": {"steps": 3, "eps": {"sweep": [0, "8/255", "1e-1"]}}}
    )
    assert result == [
        ({"pgd.eps": 0.0}, PGD(steps=3, eps=0)),
        ({"pgd.eps": 8 / 255}, PGD(steps=3, eps=8 / 255)),
        ({"pgd.eps": 0.1}, PGD(steps=3, eps=0.1)),
    ]


def test_sweeps_multiply_the_last_one_fastest() -> None:
    result = variants(
        "attacks",
        "pgd",
        attacks={"pgd": {"norm": {"sweep": ["l2", "linf"]}, "steps": {"sweep": [1, 2, 3]}}},
    )
    assert [tuple(coords.values()) for coords, _ in result] == [
        ("l2", 1), ("l2", 2), ("l2", 3), ("linf", 1), ("linf", 2), ("linf", 3)
    ]  # fmt: skip


def test_a_field_of_an_inner_method_can_be_swept() -> None:
    written = {
        "use": "adversarial_training",
        "attack": {"use": "pgd", "eps": {"sweep": [0.1, 0.2]}},
    }
    result = variants("defences", "standard", defences={"standard": written})
    assert result == [
        ({"standard.attack.eps": 0.1}, AdversarialTraining(attack=PGD(eps=0.1))),
        ({"standard.attack.eps": 0.2}, AdversarialTraining(attack=PGD(eps=0.2))),
    ]


def test_a_swept_method_has_its_name_as_coordinate() -> None:
    written = {
        "use": "adversarial_training",
        "attack": {"sweep": [{"use": "pgd"}, {"use": "pgd_mnist", "steps": 3}]},
    }
    result = variants("defences", "standard", defences={"standard": written})
    assert [coords for coords, _ in result] == [
        {"standard.attack": "pgd"},
        {"standard.attack": "pgd_mnist"},
    ]


def test_swept_values_that_are_not_scalars_have_their_text_as_coordinate() -> None:
    result = variants(
        "datasets", "fake", datasets={"fake": {"shape": {"sweep": [[1, 8, 8], [3, 8, 8]]}}}
    )
    assert [coords["fake.shape"] for coords, _ in result] == ["(1, 8, 8)", "(3, 8, 8)"]
    result = variants("attacks", "pgd", attacks={"pgd": {"step_size": {"sweep": [None, 0.1]}}})
    assert [coords["pgd.step_size"] for coords, _ in result] == ["None", 0.1]


def test_the_sweeps_of_all_entries_together_are_bounded() -> None:
    eps = {"sweep": [number / 1000 for number in range(99)]}
    attacks = {
        "pgd": {"eps": eps, "steps": {"sweep": list(range(1, 101))}},
        "more": {"use": "pgd", "eps": eps},
    }
    with pytest.raises(
        SpecError, match=r"attacks\.more: expected at most 10,000 methods, found 10,002 up to here"
    ):
        resolved(attacks=attacks)  # 3 + 99 * 100 + 99


def refused(fields: dict[str, object], part: str = "attacks", label: str = "pgd") -> list[str]:
    """What is wrong with an entry of swept fields, without hints."""
    with pytest.raises(SpecError) as caught:
        resolved(**{part: {label: fields}})
    return [f"{problem.where}: {problem.message}" for problem in caught.value.problems]


def test_a_mistake_at_a_swept_value_is_located_there() -> None:
    (wrong,) = refused({"eps": {"sweep": [0.1, -2, 0.3]}})
    assert "attacks.pgd.eps.sweep.1: " in wrong
    assert "where" not in wrong.partition("sweep.1: ")[2]


def test_mistakes_at_all_swept_values_are_reported() -> None:
    assert len(refused({"eps": {"sweep": [-1, 0.1, -2]}})) == 2


def test_a_mistake_between_fields_says_at_which_swept_value_it_occurs() -> None:
    (wrong,) = refused({"use": "pgd_conf", "start": "zero", "restarts": {"sweep": [1, 2]}})
    assert wrong.endswith("(where restarts is 2)")


def test_of_several_sweeps_those_that_decide_are_named() -> None:
    swept = {"start": {"sweep": ["random", "zero"]}, "restarts": {"sweep": [1, 2]}}
    (wrong,) = refused({"use": "pgd_conf", "steps": {"sweep": [3, 4]}, **swept})
    assert wrong.endswith("(where start is zero and restarts is 2)")


def test_a_mistake_at_all_values_names_none() -> None:
    (wrong,) = refused({"eps": {"sweep": [0.1, 0.2]}, "steps": 0})
    assert "attacks.pgd.steps: " in wrong
    assert "where" not in wrong


def test_of_very_many_mistakes_the_first_are_reported() -> None:
    eps = {"sweep": [-1 - number for number in range(99)]}
    assert len(refused({"eps": eps, "steps": {"sweep": list(range(1, 101))}})) == 51
