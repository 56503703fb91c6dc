"""What keys are made of, card by card: a change here makes every store compute those methods
again.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from invspec.kinds import plain
from invspec.registry.cards import KINDS, Kind, card, names
from invspec.registry.methods import resolve

CARDS: list[tuple[Kind, str]] = [(kind, name) for kind in KINDS for name in names(kind)]
HERE = Path(__file__).parent


def identity_of(kind: Kind, name: str) -> dict[str, Any]:
    """The identity of the method that a card names; a field that a spec must set is `...`."""
    method = resolve(kind, name)
    settings = dict(card(kind, name).params)
    fields = {
        field: plain(settings.get(field, about.get_default(call_default_factory=True)))
        for field, about in method.model_fields.items()
        if field in settings or not about.is_required()
    }
    if all(field in fields for field in method.model_fields):
        fields = {field: plain(getattr(method(**settings), field)) for field in method.model_fields}
    required = {field: "..." for field in method.model_fields if field not in fields}
    identity = {"class": f"{kind}:{method.__qualname__}", "version": method.version}
    return {**identity, "fields": {**fields, **required}}


def test_the_identity_of_every_card(tmp_path: Path) -> None:
    lines = [
        f"{kind}/{name} {json.dumps(identity_of(kind, name), sort_keys=True)}\n"
        for kind, name in CARDS
    ]
    (tmp_path / "identities.txt").write_text("".join(lines))
    expected = (HERE / "identities.txt").read_text()
    assert "".join(lines) == expected, (
        f"if this is meant: cp {tmp_path / 'identities.txt'} {HERE / 'identities.txt'}"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_class_names_are_unique_within_a_kind(kind: Kind) -> None:
    classes = {resolve(kind, name) for name in names(kind)}
    counts = Counter(method.__qualname__ for method in classes)
    assert [name for name, count in counts.items() if count > 1] == []
