"""A small whole spec for every card: its example, on a data set and a net that suit it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from invspec.errors import SpecError
from invspec.kinds import Attack, Method
from invspec.registry import methods
from invspec.registry.cards import Kind
from invspec.registry.examples import example
from invspec.registry.words import yaml_text

GROUNDS = Path(__file__).with_name("grounds.yaml")
# the parts of a spec in the order in which it is written
PARTS = ("datasets", "models", "defences", "attacks", "measures")
TRAINED: tuple[Kind, ...] = ("dataset", "model", "defence")
DEFENCE = "standard"
# the attack that leaves images as they are
CLEAN = "identity"
# what stands in an example for a value that only its reader knows, such as the digest of a file
PLACEHOLDER = "..."


def minimal_spec(kind: Kind, name: str) -> dict[str, Any]:
    """A whole spec that uses a card, as values; PLACEHOLDER where its reader fills something in."""
    return on_ground(kind, name, ground_of(kind, name))


def as_text(spec: Mapping[str, Any]) -> str:
    """A spec as YAML, an entry a line."""
    return "\n".join(_lines(spec)) + "\n"


def _lines(spec: Mapping[str, Any]) -> Iterator[str]:
    for part, value in spec.items():
        if isinstance(value, dict):
            yield f"{part}:"
            entries = cast(dict[str, Any], value).items()
            yield from (f"  {label}: {yaml_text(entry)}" for label, entry in entries)
        elif isinstance(value, list):
            yield f"{part}:"
            yield from (f"  - {yaml_text(line)}" for line in cast(list[Any], value))
        else:
            yield f"{part}: {yaml_text(value)}"


@cache
def grounds() -> dict[str, dict[str, Any]]:
    """The pairs of a data set and a model, by name; the first suits most cards."""
    return yaml.safe_load(GROUNDS.read_text(encoding="utf-8"))


def ground_of(kind: Kind, name: str) -> str:
    """The ground of a card: the one that names it, else the first."""
    first, *others = grounds()
    named = [label for label in others if name in grounds()[label]["for"].get(kind, ())]
    return named[0] if named else first


def on_ground(kind: Kind, name: str, ground: str) -> dict[str, Any]:
    """The example of a card, made whole by the data set and the model of a ground."""
    shown = yaml.safe_load(example(kind, name))
    trained: dict[str, dict[str, Any]] = {
        "datasets": grounds()[ground]["dataset"],
        "models": grounds()[ground]["model"],
        "defences": {DEFENCE: {}},
    }
    # a generator is trained beside the net that is attacked; anything else replaces its kind
    generators = shown.pop("train", [])
    if kind in TRAINED and not generators:
        trained.pop(f"{kind}s")
    line = {field: _first(trained.get(f"{field}s") or shown[f"{field}s"]) for field in TRAINED}
    parts = {part: {**trained.get(part, {}), **(shown.get(part) or {})} for part in PARTS}
    parts["attacks"] = parts["attacks"] or {CLEAN: {}}
    parts["measures"] = parts["measures"] or _measure(parts["attacks"])
    return {
        "title": name if kind == "dataset" else f"{name} on {line['dataset']}",
        **{part: {label: entry or {} for label, entry in parts[part].items()} for part in PARTS},
        **({"checks": [{"use": name, **entry_of(kind, name)}]} if kind == "check" else {}),
        "train": [line, *({**extra, "dataset": line["dataset"]} for extra in generators)],
    }


def entry_of(kind: Kind, name: str) -> dict[str, Any]:
    """The entry of a card in its example."""
    return yaml.safe_load(example(kind, name))[f"{kind}s"][name] or {}


def _first(entries: Mapping[str, Any]) -> str:
    return next(iter(entries))


def _measure(attacks: Mapping[str, Any]) -> dict[str, Any]:
    """A measure of the only attack of a spec that tells what the attack did."""
    ((name, entry),) = attacks.items()
    attack = made("attack", name, entry)
    if name == CLEAN:
        return {"accuracy": {"of": name}}
    if attack is not None and cast(Attack, attack).wants_target:
        return {"final_distance": {"of": name, "distance": "l2"}}
    if attack is not None and cast(Attack, attack).ignores_model:
        return {"rate_of_invariance": {"of": name}}
    return {"robust_accuracy": {"of": name}}


def made(kind: Kind, name: str, entry: Mapping[str, Any]) -> Method | None:
    """The method of an entry; None if its reader must fill something in or install an extra."""
    beside = ("use", "of", "sample", "generator", "oracle")
    fields = {key: value for key, value in entry.items() if key not in beside}
    if PLACEHOLDER in fields.values():
        return None
    try:
        return methods.make(kind, name, fields)
    except SpecError as problem:
        if "pip install" in problem.hint:
            return None
        raise
