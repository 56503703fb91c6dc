"""A spec: what meets what. YAML text to methods with their sweeps written out; every complaint says file and line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from invspec.errors import SpecError, refuse, suggest
from invspec.kinds import Measure, Method, Sample
from invspec.registry import messages, methods
from invspec.registry.cards import card, papers
from invspec.spec.document import Document, Steps
from invspec.spec.resolved import Resolved, Spec, Variant
from invspec.spec.schema import KINDS, Entry, Oracle, Scalar, TrainLine, Written

MAX_VARIANTS = 10_000  # of all entries together


def resolve(source: Document) -> Spec:
    """Validate values and look every name up."""
    try:
        return _resolve(source)
    except SpecError as problem:
        raise source.locate(problem) from None


def _resolve(source: Document) -> Spec:
    if not isinstance(source.values, dict):
        found = messages.shown(source.values)
        raise SpecError(
            f"expected the keys of a spec, found {found}",
            hint=f"keys: {', '.join(Written.model_fields)}",
        )
    values = cast(dict[str, Any], source.values)
    try:
        written = Written.model_validate(values)
    except ValidationError as problem:
        wrong = messages.explain(problem, Written, values)
    else:
        wrong = ()
    refuse(wrong)
    if written.paper is not None and written.paper not in papers():
        raise SpecError(
            f"no paper {written.paper!r}", hint=suggest(written.paper, papers()), path=("paper",)
        )
    _check_size(written)
    entries = {part: _entries(part, getattr(written, part)) for part in KINDS}
    _check_labels(entries)
    _check_train(written.train, entries)
    return Spec(
        written.title,
        written.paper,
        written.seeds,
        written.precision,
        entries,
        written.train,
        written.claims,
        written.report,
        source,
    )


def _check_size(written: Written) -> None:
    """Refuse sweeps that multiply to more than can be planned, before any is written out."""
    count = 0
    for part in KINDS:
        for label, entry in getattr(written, part).items():
            count += math.prod(len(values) for _, values in _sweeps(entry.fields, (part, label)))
            if count > MAX_VARIANTS:
                raise SpecError(
                    f"sweeps give more than {MAX_VARIANTS:,} methods up to here", path=(part, label)
                )


def _entries(part: str, entries: Mapping[str, Entry]) -> dict[str, Resolved]:
    if not entries:
        raise SpecError("is empty; at least one is needed", path=(part,))
    return {label: _entry_resolved(part, label, entry) for label, entry in entries.items()}


def _entry_resolved(part: str, label: str, entry: Entry) -> Resolved:
    owners = {"of": "measures", "oracle": "measures", "sample": "attacks", "independent": "attacks"}
    for word, owner in owners.items():
        if getattr(entry, word) is not None and part != owner:
            raise SpecError(f"{word} belongs to {owner}, not to {part}", path=(part, label, word))
    try:
        card(KINDS[part], entry.use or label)
    except SpecError as problem:
        raise problem.within(part, label, *(("use",) if entry.use else ())) from None
    variants = tuple(_variants(part, label, entry))
    if part == "measures":
        _check_of(cast(Measure, variants[0].method), label, entry)
        _check_oracle(cast(Measure, variants[0].method), label, entry)
    return Resolved(
        variants, entry.sample or Sample(), entry.of or (), bool(entry.independent), entry.oracle
    )


def _check_of(measure: Measure, label: str, entry: Entry) -> None:
    least, most = measure.takes
    found = len(entry.of or ())
    if not least <= found <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise SpecError(
            f"{type(measure).__name__} is of {wanted} attack{'s' if most > 1 else ''}, found {found}",
            hint="say `of: [label of an attack]`",
            path=("measures", label, *(("of",) if entry.of else ())),
        )


def _check_oracle(measure: Measure, label: str, entry: Entry) -> None:
    name = type(measure).__name__
    if measure.wants_oracle and entry.oracle is None:
        hint = "say `oracle: {model: label, defence: label}`, a second classifier that is believed"
        raise SpecError(f"{name} needs an oracle", hint=hint, path=("measures", label))
    if entry.oracle is not None and not measure.wants_oracle:
        raise SpecError(
            f"{name} asks no oracle", hint="take it out", path=("measures", label, "oracle")
        )


def _variants(part: str, label: str, entry: Entry) -> Iterator[Variant]:
    axes = [(path[2:], values) for path, values in _sweeps(entry.fields, (part, label))]
    seen: set[tuple[Scalar, ...]] = set()
    for chosen in itertools.product(*(range(len(values)) for _, values in axes)):
        fields = entry.fields
        for (path, values), which in zip(axes, chosen, strict=True):
            fields = _with(fields, path, values[which])
        method = _make(part, label, entry.use or label, fields, axes, chosen)
        coords = {
            f"{label}.{'.'.join(map(str, path))}": _coordinate(method, fields, path)
            for path, _ in axes
        }
        if tuple(coords.values()) in seen:
            path = (part, label, *axes[-1][0])
            raise SpecError(
                f"a sweep gives {_listing(coords)} twice",
                hint="cells could not be told apart",
                path=path,
            )
        seen.add(tuple(coords.values()))
        yield Variant(coords, method)


def _listing(coords: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{name} {value}" for name, value in coords.items())


def _make(
    part: str,
    label: str,
    name: str,
    fields: dict[str, Any],
    axes: list[tuple[Steps, list[Any]]],
    chosen: Sequence[int],
) -> Method:
    try:
        return methods.make(KINDS[part], name, fields)
    except SpecError as problem:
        path = problem.path
        for (axis, _), which in zip(axes, chosen, strict=True):
            if path[: len(axis)] == axis:  # point at the value in the sweep, not at the sweep
                path = (*axis, "sweep", which, *path[len(axis) :])
        raise SpecError(
            problem.message, where=problem.where, hint=problem.hint, path=(part, label, *path)
        ) from None


def _sweeps(value: Any, path: Steps) -> Iterator[tuple[Steps, list[Any]]]:
    """Every {sweep: [...]} below an entry, with its path, which begins with the entry's."""
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        if "sweep" in fields:
            yield path, _sweep(fields, path)
            return
        for name, item in fields.items():
            yield from _sweeps(item, (*path, name))


def _sweep(fields: dict[str, Any], path: Steps) -> list[Any]:
    values = fields["sweep"]
    if len(fields) > 1 or len(path) == 2:
        hint = "write field: {sweep: [...]}"
        raise SpecError("a sweep stands alone, in place of one field's value", hint=hint, path=path)
    if not isinstance(values, list) or not values:
        found = messages.shown(values)
        raise SpecError(
            f"expected a list of at least one value, found {found}", path=(*path, "sweep")
        )
    return cast(list[Any], values)


def _with(fields: dict[str, Any], path: Steps, value: Any) -> dict[str, Any]:
    """A copy of nested fields in which the one at path is value."""
    first = cast(str, path[0])
    return {**fields, first: value if len(path) == 1 else _with(fields[first], path[1:], value)}


def _coordinate(method: Method, fields: Mapping[str, Any], path: Steps) -> Scalar:
    """A swept field as a coordinate: its value; of a method, its name in the registry."""
    value, written = cast(Any, method), cast(Any, fields)
    for name in path:
        value, written = getattr(value, str(name), None), written[name]
    if isinstance(written, dict):
        return str(cast(dict[str, Any], written).get("use"))
    return value if isinstance(value, Scalar) else str(written if value is None else value)


def _check_labels(entries: Mapping[str, Mapping[str, Resolved]]) -> None:
    for label, measure in entries["measures"].items():
        for attack in measure.of:
            _known(attack, entries["attacks"], "attack", ("measures", label, "of"))
        if measure.oracle is not None:
            _check_oracle_labels(measure.oracle, entries, ("measures", label, "oracle"))
    swept = [
        (part, label) for part in KINDS for label in entries[part] if entries[part][label].coords
    ]
    for (_, first), (part, second) in itertools.combinations(swept, 2):
        if first == second:
            raise SpecError(
                f"{second!r} names two swept entries; give one another label", path=(part, second)
            )


def _check_oracle_labels(
    oracle: Oracle, entries: Mapping[str, Mapping[str, Resolved]], path: Steps
) -> None:
    """An oracle is one model, trained in one way."""
    for noun, label in (("model", oracle.model), ("defence", oracle.defence)):
        _known(label, known := entries[noun + "s"], noun, (*path, noun))
        if len(known[label].variants) > 1:
            raise SpecError(
                f"{noun} {label} is swept, and an oracle is one net", path=(*path, noun)
            )


def _check_train(lines: Iterable[TrainLine], entries: Mapping[str, Mapping[str, Resolved]]) -> None:
    parts = {
        "dataset": "datasets",
        "model": "models",
        "defence": "defences",
        "measures": "measures",
    }
    for number, line in enumerate(lines):
        for field, part in parts.items():
            for label in getattr(line, field) or ():
                _known(label, entries[part], field.removesuffix("s"), ("train", number, field))


def _known(label: str, known: Iterable[str], noun: str, path: Steps) -> None:
    if label not in (labels := list(known)):
        raise SpecError(
            f"no {noun} is labelled {label!r} in this spec", hint=suggest(label, labels), path=path
        )
