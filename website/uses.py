"""Which shipped specs use a card."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from invspec.registry.cards import KINDS, Kind, shipped

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader is ten times as fast
Use = tuple[str, str]


@cache
def specs_that_use(kind: Kind, name: str) -> tuple[str, ...]:
    """The names of the specs, sorted."""
    return tuple(spec for spec, uses in _all_uses().items() if (kind, name) in uses)


@cache
def _all_uses() -> dict[str, set[Use]]:
    return {path.stem: set(_uses(path)) for path in sorted(shipped("specs").glob("*.yaml"))}


def _uses(path: Path) -> Iterator[Use]:
    """The methods that a spec names, and those of the entries that it takes from other files."""
    text = path.read_text(encoding="utf-8")
    own = yaml.load(text, Loader=LOADER)
    yield from _methods(own)
    words = set(re.findall(r"\w+", text))
    bases = own.get("extends", [])
    for base in [bases] if isinstance(bases, str) else bases:
        shared = yaml.load((path.parent / base).read_text(encoding="utf-8"), Loader=LOADER)
        entries = {
            part: {label: entry for label, entry in shared[part].items() if label in words}
            for part in (f"{kind}s" for kind in KINDS)
            if part in shared
        }
        yield from _methods(entries)


def _methods(spec: dict[str, Any]) -> Iterator[Use]:
    for kind in KINDS:
        entries = spec.get(f"{kind}s")
        if isinstance(entries, dict):
            for label, entry in cast(dict[str, dict[str, Any] | None], entries).items():
                yield kind, (entry or {}).get("use", label)
    # a field, such as the attack of a training, holds a method of a kind that its class knows
    yield from ((kind, name) for name in _nested(spec) for kind in KINDS)


def _nested(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        entries = cast(dict[str, Any], value)
        if isinstance(entries.get("use"), str):
            yield entries["use"]
        value = list(entries.values())
    if isinstance(value, list):
        for item in cast(list[Any], value):
            yield from _nested(item)
