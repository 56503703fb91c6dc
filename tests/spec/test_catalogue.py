"""The catalogue of methods that ships is what the classes and cards say."""

from __future__ import annotations

import json

from invspec.registry import catalogue
from invspec.registry.cards import KINDS, shipped_names
from invspec.spec.catalogue import text


def test_the_catalogue_that_ships_is_up_to_date() -> None:
    is_fresh = catalogue.path().read_text(encoding="utf-8") == text()
    assert is_fresh, "write it again: uv run python -m invspec.spec.catalogue"


def test_the_catalogue_has_every_card() -> None:
    methods = json.loads(catalogue.path().read_text(encoding="utf-8"))["methods"]
    assert {kind: list(methods[kind]) for kind in KINDS} == {
        kind: shipped_names(kind) for kind in KINDS
    }
