"""From YAML to methods, and the samples of entries."""

from __future__ import annotations

from spec_toys import resolved, variants

from invspec.attacks.pgd import PGD
from invspec.attacks.random_rotation import RandomRotation
from invspec.kinds import Sample


def test_an_entry_is_the_method_of_its_label_with_its_defaults() -> None:
    assert variants("attacks", "pgd") == [({}, PGD())]


def test_use_names_a_method_other_than_the_label() -> None:
    assert variants("attacks", "turn", attacks={"pgd": {}, "turn": {"use": "random_rotation"}}) == [
        ({}, RandomRotation())
    ]


def test_a_single_label_is_a_list_of_one() -> None:
    assert resolved().entries["measures"]["accuracy"].of == ("pgd",)
    assert resolved().train[0].dataset == ("fake",)


def test_a_sample_belongs_to_its_entry_and_not_to_its_method() -> None:
    entry = resolved(attacks={"pgd": {"sample": {"split": "val", "per_class": 2}}}).entries[
        "attacks"
    ]["pgd"]
    assert (entry.sample, entry.variants[0].method) == (Sample(split="val", per_class=2), PGD())
