"""All fields of all methods, as a page shows them."""

import re

import pytest
from workbench import planned as workbench_planned
from workbench import registered, tiny

from invspec.report import methods

SPEC = """
title: Toy
seeds: [0]
datasets: {digits: {}}
models: {linear: {}}
defences: {robust: {use: adversarial_training, attack: {use: pgd, eps: 0.1, steps: 3}}}
attacks:
  pgd:
    use: pgd
    eps: {sweep: [0, 8/255]}
    sample: {limit: 100}
    before: {use: random_rotation, max_degrees: 30}
measures: {accuracy: {of: pgd}}
train: [{dataset: digits, model: linear, defence: robust}]
"""


def entries(planned):
    return {(e.part, e.label): e for e in methods.entries(planned(SPEC).spec)}


def fields(entry):
    return {field.name: field for field in entry.fields}


def test_every_field_is_there_with_defaults_and_swept_values(planned):
    entry = entries(planned)["attacks", "pgd"]
    assert entry.method == "PGD"
    shown = fields(entry)
    assert set(
        type(planned(SPEC).spec.entries["attacks"]["pgd"].variants[0].method).model_fields
    ) <= set(shown)
    assert shown["eps"].value == "0, 8/255"
    assert shown["eps"].unit == "pixels in [0, 1]"
    assert shown["random_start"].value == "true"
    first, second = shown["step_size"].value.split(", ")
    assert first == "0 (from other fields)"
    assert float(second.removesuffix(" (from other fields)")) == pytest.approx(
        2.5 * 8 / 255 / 40, rel=1e-5
    )
    assert shown["relative_step_size"].value == "none"
    assert "ball" in shown["eps"].meaning


def test_a_class_of_a_users_own_has_its_module_and_a_digest_of_its_code():
    with registered():
        (attack,) = (
            e for e in methods.entries(workbench_planned(tiny()).spec) if e.part == "attacks"
        )
        assert re.fullmatch(r"Shift \(of toy_methods, sha256 [0-9a-f]{12}\)", attack.method)


def test_how_the_spec_uses_an_entry_is_there_too(planned):
    shown = fields(entries(planned)["attacks", "pgd"])
    assert shown["sample"].value == "split test, the first 100 examples"
    assert shown["before"].value.startswith("RandomRotation (max_degrees 30")
    assert fields(entries(planned)["measures", "accuracy"])["of"].value == "pgd"


def test_a_method_inside_another_has_its_own_fields(planned):
    inner = fields(entries(planned)["defences", "robust"])["attack"].value
    assert inner.startswith("PGD (")
    assert "eps 0.1" in inner
    assert "steps 3" in inner
