"""Leave out the entries of extended files that a spec does not use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from invspec.registry.cards import PARTS
from invspec.spec.document import Document

# measures count as used: a line of `train` that names none has them all
_PARTS = tuple(part for part in PARTS if part != "measures")


def without_unused(source: Document) -> Document:
    """A document without the entries that only extended files have and that nothing names.

    An entry is named where `train` or another entry has its label as a value. What scales change in
    such entries is left out, too.
    """
    unused = set[tuple[str, str]]()
    while more := set(_unnamed(source, unused)):
        unused |= more
    if not unused:
        return source
    values = {
        key: _without(value, {label for part, label in unused if part == key})
        for key, value in source.values.items()
    }
    if isinstance(values.get("scales"), dict):
        values["scales"] = {
            name: _scale(overlays, unused) for name, overlays in values["scales"].items()
        }
    return replace(source, values=values)


def unnamed(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Entries that neither `train`, nor a scale, nor another entry names, by part and label."""
    texts = [*_used_texts(values, set()), (("scales", ""), set(_texts(values.get("scales"))))]
    for part in PARTS:
        for label in values.get(part, {}):
            if not any(label in words for place, words in texts if place != (part, label)):
                yield part, label


def _unnamed(source: Document, unused: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Entries that only extended files have and that no other used entry and no line names."""
    if not isinstance(source.values, dict):
        return
    texts = list(_used_texts(source.values, unused))
    for part, label in source.inherited - unused:
        if part in _PARTS and not any(
            label in words for place, words in texts if place != (part, label)
        ):
            yield part, label


def _used_texts(
    values: dict[str, Any], unused: set[tuple[str, str]]
) -> Iterator[tuple[tuple[str, str], set[str]]]:
    """The texts in `train` and in each entry that is not unused."""
    yield ("train", ""), set(_texts(values.get("train")))
    for part in (*PARTS, "checks"):
        entries = values.get(part)
        for label, entry in entries.items() if isinstance(entries, dict) else ():
            if (part, label) not in unused:
                yield (part, label), set(_texts(entry))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        items = cast(dict[str, Any], value).values() if isinstance(value, dict) else value
        for item in cast("list[Any]", items):
            yield from _texts(item)


def _without(value: Any, labels: set[str]) -> Any:
    if not labels or not isinstance(value, dict):
        return value
    return {
        label: entry for label, entry in cast(dict[str, Any], value).items() if label not in labels
    }


def _scale(overlays: Any, unused: set[tuple[str, str]]) -> Any:
    if not isinstance(overlays, dict):
        return overlays
    return {
        dotted: value
        for dotted, value in cast(dict[str, Any], overlays).items()
        if tuple(dotted.split(".")[:2]) not in unused
    }
