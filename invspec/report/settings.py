"""What two studies set differently: fields of methods, samples, seeds, versions and machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic import BaseModel

from invspec.kinds import Method, plain
from invspec.plan.coordinates import shown
from invspec.plan.matching import Match
from invspec.report.provenance import SURROUNDINGS, VERSIONS, Provenance
from invspec.spec.resolved import Resolved, Spec, Variant

# what stands where a study lacks a setting
ABSENT = ""
# the parts of a resolved entry that are written out beside its methods
BESIDE = tuple(part.name for part in fields(Resolved) if part.name != "variants")

Settings = dict[str, str]


@dataclass(frozen=True)
class Difference:
    """A setting by its dotted path, as A and as B have it; empty where one lacks it."""

    setting: str
    a: str
    b: str


def differences(
    a: tuple[Spec, Provenance], b: tuple[Spec, Provenance], matches: Iterable[Match] = ()
) -> list[Difference]:
    """The settings in which two studies differ: of their specs, then of what computed them.

    Entries that a match renames are compared under the label of B.
    """
    renames = {match.first: match.second for match in matches if match.coordinate is None}
    first = {**settings(a[0], renames), **surroundings(a[1])}
    second = {**settings(b[0]), **surroundings(b[1])}
    return [
        Difference(name, first.get(name, ABSENT), second.get(name, ABSENT))
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name)
    ]


def settings(spec: Spec, renames: Mapping[str, str] | None = None) -> Settings:
    """Every setting of a spec that can change a number, by its dotted path."""
    renames = renames or {}
    flat: Settings = {
        "seeds": _text(spec.seeds),
        "seeds.paired": _text(spec.seeds_paired),
        "precision": spec.precision,
        "train": "; ".join(_line(line, renames) for line in spec.train),
    }
    for part, entries in spec.entries.items():
        for label, entry in entries.items():
            flat |= _of_entry(f"{part}.{renames.get(label, label)}", entry, renames)
    for label, check in spec.checks.items():
        flat |= _joined([_of_method(f"checks.{label}", check)])
    return flat


def surroundings(facts: Provenance) -> Settings:
    """What computed the results of a study: versions, machines and chosen precisions."""
    known = {**facts.versions, **facts.surroundings}
    names = (*VERSIONS, *SURROUNDINGS.values())
    made = {f"made.{name}": ", ".join(known[name]) for name in names if name in known}
    chosen = {"precision.chosen": "; ".join(facts.chosen)} if facts.chosen else {}
    return {**chosen, **made}


def _line(line: BaseModel, renames: Mapping[str, str]) -> str:
    """A line of `train` in one piece of text."""
    return ", ".join(
        f"{name} {_text(_renamed(value, renames))}"
        for name, value in plain(line).items()
        if value not in (None, [])
    )


def _renamed(value: Any, renames: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, renames) for item in value]
    return renames.get(value, value) if isinstance(value, str) else value


def _of_entry(path: str, entry: Resolved, renames: Mapping[str, str]) -> Settings:
    """The settings of an entry: fields of its methods, each with all values of a sweep."""
    flat = _joined([_of_variant(path, variant) for variant in entry.variants])
    for name in BESIDE:
        value = _renamed(plain(getattr(entry, name)), renames)
        key = f"{path}.{'from' if name == 'source' else name}"
        flat |= {inner: text for inner, text in _flat(key, value) if text}
    return flat


def _of_variant(path: str, variant: Variant) -> Settings:
    before = {} if variant.before is None else _of_method(f"{path}.before", variant.before)
    return {**_of_method(path, variant.method), **before}


def _of_method(path: str, method: Method) -> Settings:
    return dict(_flat(path, plain(method)))


def flat_method(method: Method) -> Settings:
    """The fields of a method by their dotted paths, those of methods in it too."""
    prefix = "method."
    return {name.removeprefix(prefix): text for name, text in _of_method("method", method).items()}


def _joined(variants: Sequence[Settings]) -> Settings:
    """The settings of several variants: the distinct values of each, in their order."""
    names = dict.fromkeys(name for variant in variants for name in variant)
    values = {
        name: dict.fromkeys(variant[name] for variant in variants if name in variant)
        for name in names
    }
    return {name: ", ".join(distinct) for name, distinct in values.items()}


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """A value as plain settings: methods inside others go on with their dotted path."""
    match value:
        case {"class": str(name), "fields": dict() as inner, **others}:
            yield f"{path}.use", name.partition(":")[2]
            yield from _flat(path, {**inner, **others})
        case dict():
            for name, item in value.items():
                yield from _flat(f"{path}.{name}", item)
        case list() if any(isinstance(item, dict) for item in value):
            for place, item in enumerate(value):
                yield from _flat(f"{path}.{place}", item)
        case _:
            yield path, _text(value)


def _text(value: Any) -> str:
    """A setting as a spec would have it; empty for nothing."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return shown(value)
