"""What ships is described without its classes; a user's method is not in the catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from registries import untouched

from invspec.errors import SpecError
from invspec.registry import cards, catalogue
from invspec.registry.catalogue import Description, FieldText


def test_a_shipped_method_is_described_as_it_was_written() -> None:
    about = catalogue.find("attack", "pgd_mnist")
    assert about is not None
    eps, *_ = about.fields
    assert (eps.name, eps.default, eps.type) == ("eps", "0.3", "number ≥ 0")
    assert eps.schema["minimum"] == 0
    assert (about.transforms, about.attacks) == (False, "")


def test_a_required_field_has_no_default() -> None:
    about = catalogue.find("defence", "pretrained")
    assert about is not None
    assert {field.name for field in about.fields if field.default is None} == {"file", "sha256"}


def test_what_a_user_adds_or_hides_is_not_in_it(tmp_path: Path) -> None:
    card = tmp_path / "attack" / "pgd.yaml"
    card.parent.mkdir()
    card.write_text("target: mine:Mine\nsummary: mine\n")
    (card.parent / "mine.yaml").write_text("target: mine:Mine\nsummary: mine\n")
    with untouched(tmp_path):
        cards.add(tmp_path)
        assert catalogue.find("attack", "pgd") is None
        assert catalogue.find("attack", "mine") is None
        assert catalogue.find("attack", "fgsm") is not None


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="no attack is named 'pdg'") as caught:
        catalogue.find("attack", "pdg")
    assert caught.value.hint.startswith("did you mean pgd?")


def test_the_frame_is_a_copy() -> None:
    catalogue.frame().clear()
    assert catalogue.frame()


def test_a_description_is_written_without_what_it_lacks() -> None:
    field = FieldText("eps", "number", {"type": "number"})
    about = Description("a summary", "no paper", (field,), "attacks:\n  mine: {}")
    content = json.loads(catalogue.text({"required": []}, {"attack": {"mine": about}}))
    assert content["frame"] == {"required": []}
    assert content["methods"]["attack"]["mine"] == {
        "summary": "a summary",
        "provenance": "no paper",
        "fields": [{"name": "eps", "type": "number", "schema": {"type": "number"}}],
        "example": "attacks:\n  mine: {}",
    }
