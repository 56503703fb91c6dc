"""`before` beside `use` of an attack."""

from __future__ import annotations

import pytest
from spec_toys import resolved

from invspec.attacks.fixed_transforms import FixedRotation
from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.errors import SpecError
from invspec.spec import transforms


def entry(before: object, **fields: object):
    attacks = {"pgd": {"before": before, **fields}}
    return resolved(attacks=attacks).entries["attacks"]["pgd"]


def test_a_transform_is_a_method_beside_that_of_the_attack() -> None:
    (variant,) = entry({"use": "random_rotation", "max_degrees": 60}, eps=0.1).variants
    assert (variant.method, variant.before) == (PGD(eps=0.1), RandomRotation(max_degrees=60))
    assert variant.coords == {}


def test_fields_of_a_transform_can_be_swept_beside_those_of_the_attack() -> None:
    before = {"use": "random_rotation", "max_degrees": {"sweep": [0, 60]}}
    variants = entry(before, eps={"sweep": [0, 0.1]}).variants
    assert [dict(variant.coords) for variant in variants] == [
        {"pgd.eps": eps, "pgd.before.max_degrees": degrees}
        for eps in (0, 0.1)
        for degrees in (0, 60)
    ]
    turns = [RandomRotation(max_degrees=degrees) for degrees in (0, 60)]
    assert [variant.before for variant in variants] == 2 * turns


def test_a_swept_transform_has_its_name_as_coordinate() -> None:
    before = {"sweep": [{"use": "random_rotation"}, {"use": "fixed_rotation", "degrees": 180}]}
    variants = entry(before).variants
    assert [variant.coords for variant in variants] == [
        {"pgd.before": "random_rotation"},
        {"pgd.before": "fixed_rotation"},
    ]
    assert [variant.before for variant in variants] == [
        RandomRotation(),
        FixedRotation(degrees=180),
    ]


def test_a_smoke_run_keeps_the_transform() -> None:
    attack = entry({"use": "random_rotation", "max_degrees": 60}, steps=20).smoke()
    assert attack.variants[0].before == RandomRotation(max_degrees=60)


@pytest.mark.parametrize(
    ("before", "at", "message"),
    [
        ({"use": "pgd"}, "before.use", "expected a transform that ignores the model, found pgd"),
        ({"use": "spatial"}, "before.use", "that ignores the model, found spatial"),
        ({"use": "random_rotations"}, "before.use", "no attack is named 'random_rotations'"),
        ({"max_degrees": 60}, "before", r"expected \{use: name, ...fields\}"),
        ({"use": "random_rotation", "max_degree": 60}, "before.max_degree", "no such parameter"),
        ({"use": "random_rotation", "max_degrees": 200}, "before.max_degrees", "180"),
        (
            {"use": "random_rotation", "max_degrees": {"sweep": [60, 200]}},
            r"before.max_degrees.sweep.1",
            "180",
        ),
        ({"sweep": [{"use": "random_rotation"}, {"use": "pgd"}]}, "before.sweep.1.use", "pgd"),
        ("random_rotation", "before", "found 'random_rotation'"),
    ],
)
def test_what_is_no_transform_is_refused_where_it_is_written(
    before: object, at: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        entry(before)
    assert f"attacks.pgd.{at}" in str(caught.value)


def test_a_refusal_names_the_transforms() -> None:
    *most, last = transforms.names()
    with pytest.raises(SpecError, match=f"hint: choose {', '.join(most)} or {last}"):
        entry({"use": "pgd"})
    assert {"identity", "random_rotation", "fixed_shift"} <= set(transforms.names())
    assert not {"pgd", "spatial", "union_max"} & set(transforms.names())


def test_only_attacks_have_a_transform() -> None:
    with pytest.raises(SpecError, match="`before` is a key of attacks, found it in defences"):
        resolved(defences={"standard": {"before": {"use": "random_rotation"}}})
