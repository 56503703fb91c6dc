"""Every card is used by a shipped spec, or docs/methods.md says what it serves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from smoke_specs import SPECS
from workbench import ROOT

from invspec.registry.cards import KINDS, PARTS, card, names, shipped_names
from invspec.spec import extend, overlay

ROW = re.compile(r"^\| (\w+) \| `(\w+)` \| (.+) \|$", re.M)
CARDS = {(kind, name) for kind in KINDS for name in names(kind)}


def documented() -> list[tuple[str, str]]:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    return [(kind, name) for kind, name, _ in ROW.findall(page)]


def used() -> set[tuple[str, str]]:
    """The cards of all entries at all scales, of the methods in their fields, and all checks."""
    found = {("check", name) for name in shipped_names("check")}
    for path in SPECS:
        for scale in (None, *extend.read(path).values.get("scales", ())):
            values = overlay.load(path, scale).source.values
            for part, kind in PARTS.items():
                for label, entry in values[part].items():
                    found.add((kind, (entry or {}).get("use", label)))
                    found |= {owner for name in nested(entry) for owner in owners(name)}
    return found


def nested(value: Any) -> Iterator[str]:
    """The names of all methods in a value."""
    if isinstance(value, dict):
        yield from [value["use"]] if isinstance(value.get("use"), str) else []
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from nested(item)


def owners(name: str) -> set[tuple[str, str]]:
    return {(kind, name) for kind in KINDS} & CARDS


def test_every_card_is_used_by_a_spec_or_named_in_the_docs() -> None:
    missing = CARDS - used() - set(documented())
    assert not sorted(missing), "use them in a spec, or say in docs/methods.md what they serve"


def test_the_page_names_only_cards_that_no_spec_uses() -> None:
    listed = documented()
    assert len(listed) == len(set(listed))
    assert set(listed) <= CARDS, "they are not in the registry"
    assert not sorted(set(listed) & used()), "specs use them now: remove them from docs/methods.md"


def test_the_page_says_more_than_the_card() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for kind, name, serves in ROW.findall(page):
        assert serves not in ("", card(kind, name).summary)
