"""Every method of a spec with all its fields, as they were used: what a reviewer asks first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from invspec import sources
from invspec.errors import counted
from invspec.kinds import Method, Sample
from invspec.plan.coordinates import shown
from invspec.registry.cards import PARTS
from invspec.spec.resolved import Resolved, Spec

# of the digest of a user's code
DIGITS = 12


@dataclass(frozen=True)
class FieldOf:
    """One field of a method: its value as text, its unit if it has one, and what it means."""

    name: str
    value: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Entry:
    """An entry of the spec: its part, its label, its method, and all its fields."""

    part: str
    label: str
    method: str
    fields: tuple[FieldOf, ...]


def entries(spec: Spec) -> Iterator[Entry]:
    """All entries of a spec, in its order, defaults included."""
    for part in PARTS:
        for label, entry in spec.entries[part].items():
            method = entry.variants[0].method
            fields = (*_fields(entry, label), *_of_entry(part, entry))
            yield Entry(part, label, _class_of(method), fields)


def _class_of(method: Method) -> str:
    """The class of a method; that of a user with its module and the digest of its code."""
    cls = type(method)
    if not (code := sources.source_of(cls)):
        return cls.__name__
    digest = f", sha256 {code['source'][:DIGITS]}" if "source" in code else ""
    return f"{cls.__name__} (of {code['module']}{digest})"


def _fields(entry: Resolved, label: str) -> Iterator[FieldOf]:
    """The fields of a method; a swept one has all its values."""
    method = entry.variants[0].method
    for name, field in type(method).model_fields.items():
        values = dict.fromkeys(_used(variant.method, name) for variant in entry.variants)
        yield FieldOf(name, ", ".join(values), method.unit_of(name), field.description or "")


def _used(method: Method, name: str) -> str:
    """The value of a field that a run uses, and whether it follows from other fields."""
    value = method.used(name)
    return _text(value) + (" (from other fields)" if value != getattr(method, name) else "")


def _text(value: Any) -> str:
    """A value of a field; a method inside another with its fields in brackets."""
    if isinstance(value, Method):
        inner = (f"{name} {_used(value, name)}" for name in type(value).model_fields)
        return f"{type(value).__name__} ({', '.join(inner)})"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_text(item)}" for name, item in value.items())
    return shown(value) if isinstance(value, str | float | int | bool) else str(value or "none")


def _of_entry(part: str, entry: Resolved) -> Iterator[FieldOf]:
    """How the spec uses an entry, beside the fields of its method."""
    if part == "attacks":
        yield FieldOf("sample", _sample(entry.sample), "", "the examples that are attacked")
    if before := [variant.before for variant in entry.variants if variant.before is not None]:
        texts = dict.fromkeys(map(_text, before))
        yield FieldOf("before", "; ".join(texts), "", "transforms the images before the attack")
    if entry.source is not None:
        made = f"{entry.source.model}, {entry.source.defence}"
        yield FieldOf("from", made, "", "the net on which the images are made")
    if part == "measures":
        yield FieldOf("of", ", ".join(entry.of), "", "the attacks that are measured")
    if part == "defences" and entry.threads > 1:
        yield FieldOf("threads", str(entry.threads), "", "CPU threads of a training")


def _sample(sample: Sample) -> str:
    words = [f"split {sample.split}"]
    if sample.limit is not None:
        words.append(f"the first {counted(sample.limit, 'example')}")
    if sample.per_class is not None:
        words.append(f"{sample.per_class} of each class")
    if sample.targets is not None:
        words.append(f"targets: {_text(sample.targets.model_dump())}")
    return ", ".join(words)
