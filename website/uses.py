"""Which shipped specs use a card, at any scale."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import yaml

from invspec.registry.cards import KINDS, Kind, shipped


@cache
def specs_that_use(kind: Kind, name: str) -> tuple[str, ...]:
    """The names of the specs, sorted; entries of files that they extend count where they stand."""
    return tuple(sorted(spec for spec, uses in _uses().items() if (kind, name) in uses))


@cache
def _uses() -> dict[str, set[tuple[str, str]]]:
    specs = {path.stem: path for path in shipped("specs").glob("*.yaml")}
    return {
        spec: set(_methods(yaml.safe_load(path.read_text(encoding="utf-8"))))
        for spec, path in specs.items()
    }


def _methods(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
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
