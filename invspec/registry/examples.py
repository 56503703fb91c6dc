"""Examples of methods in a spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from invspec.kinds import Attack
from invspec.registry import cards, methods
from invspec.registry.cards import Card, Kind
from invspec.registry.words import Fields, default_of, fields_of, yaml_text


def example(kind: Kind, name: str) -> str:
    """The part of a spec that uses a method, as YAML.

    It is the example of the card or, if the card has none, the method's entry with its required
    fields, and the entries that it refers to.
    """
    parts = cards.card(kind, name).example or _computed(kind, name)
    return "\n".join(
        line for part, entries in parts.items() for line in (f"{part}:", *_entry_lines(entries))
    )


def _entry_lines(entries: dict[str, Any] | list[Any]) -> Iterator[str]:
    """Labelled entries, or the lines of `train`."""
    if isinstance(entries, list):
        yield from (f"  - {yaml_text(line)}" for line in entries)
    else:
        yield from (f"  {label}: {yaml_text(entry)}" for label, entry in entries.items())


def _computed(kind: Kind, name: str) -> dict[str, dict[str, Any]]:
    """Parts of a spec, by name: the method's entry, and for a measure the attack that it reads."""
    method = methods.resolve(kind, name)
    entry = dict(_entry(cards.card(kind, name), fields_of(method)))
    pairs: dict[str, Any] = {"sample": {"targets": {"per_class": 1}}}
    if kind == "attack" and _wants_target(name, entry):
        entry |= pairs
    if kind != "measure":
        return {f"{kind}s": {name: entry}}
    attack = {"identity": pairs if getattr(method, "wants_target", False) else {}}
    return {"attacks": attack, "measures": {name: {"of": "identity", **entry}}}


def _entry(card: Card, fields: Fields) -> Iterator[tuple[str, Any]]:
    """The required fields or, if there are none, the first whose default fits into YAML."""
    open_fields = {name: about for name, about in fields.items() if name not in card.params}
    if required := [name for name, about in open_fields.items() if about.is_required()]:
        yield from ((name, "...") for name in required)
        return
    defaults = {name: default_of(about) for name, about in open_fields.items()}
    yield from [item for item in defaults.items() if not holds_method(item[1])][:1]


def _wants_target(name: str, entry: Mapping[str, Any]) -> bool:
    """Whether an attack walks to a target image; False if a required field is not yet set."""
    if "..." in entry.values():
        return False
    return cast(Attack, methods.make("attack", name, dict(entry))).wants_target


def holds_method(value: Any) -> bool:
    """Whether a value is or contains a method or another settings object."""
    if isinstance(value, list | tuple):
        return any(map(holds_method, cast(list[Any], value)))
    return hasattr(value, "model_fields_set")
