"""Labels, and lists of them."""

from __future__ import annotations

import re

import pytest
from pydantic import TypeAdapter, ValidationError

from invspec.kinds import Attack
from invspec.registry.cards import KINDS, PARTS
from invspec.spec.labels import Label, Labels, Section

LABELS, LABEL = TypeAdapter(Labels), TypeAdapter(Label)


@pytest.mark.parametrize("written", ["a", "A9", "my-attack_2", "a" * 64])
def test_labels_are_letters_digits_and_dashes_after_a_letter(written: str) -> None:
    assert LABEL.validate_python(written) == written


@pytest.mark.parametrize("written", ["", "9a", "_a", "a.b", "a b", "ä", "a\n", "a" * 65, "../x"])
def test_other_labels_are_refused(written: str) -> None:
    with pytest.raises(ValidationError, match=r"expected a label \(a letter, then at most 63"):
        LABEL.validate_python(written)


def test_the_pattern_for_editors_is_that_of_the_label() -> None:
    pattern = LABEL.json_schema()["pattern"]
    assert re.search(pattern, "my-attack_2")
    assert not re.search(pattern, "a.b")


def test_one_label_counts_as_a_list_of_one() -> None:
    assert LABELS.validate_python("pgd") == ("pgd",)
    assert LABELS.validate_python(["pgd", "fgsm"]) == ("pgd", "fgsm")


def test_an_empty_list_and_other_values_are_no_labels() -> None:
    with pytest.raises(ValidationError, match="at least 1"):
        LABELS.validate_python([])
    with pytest.raises(ValidationError, match="a label or a list of labels, found 3"):
        LABELS.validate_python(3)
    with pytest.raises(ValidationError, match="found nothing"):
        LABELS.validate_python(None)


def test_every_kind_but_checks_has_one_part_of_a_spec() -> None:
    assert sorted([*PARTS.values(), "check"]) == sorted(KINDS)
    assert PARTS["attacks"] == Attack.kind


def test_sections_are_frozen_and_refuse_unknown_keys_and_infinite_numbers() -> None:
    class Part(Section):
        share: float = 0.0

    with pytest.raises(ValidationError, match="frozen"):
        Part().share = 1.0
    with pytest.raises(ValidationError, match="Extra inputs"):
        Part.model_validate({"shape": 1})
    with pytest.raises(ValidationError, match="finite"):
        Part(share=float("inf"))
