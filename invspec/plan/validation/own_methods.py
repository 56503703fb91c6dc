"""Users' own methods: what reads of them raises, and what is probably a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

from invspec.errors import InvspecError, SpecError
from invspec.kinds import Measure, Method
from invspec.registry import cards, own_code
from invspec.registry.cards import PARTS
from invspec.spec.resolved import Spec


def problems(spec: Spec) -> Iterator[SpecError]:
    """Exceptions of what a user's class says about itself, which a report would meet later."""
    for part in PARTS:
        for label, entry in spec.entries[part].items():
            method = entry.variants[0].method
            if not own_code.is_own(method):
                continue
            try:
                with own_code.explained():
                    _read(method)
            except SpecError as problem:
                yield problem.within(part, label)


def _read(method: Method) -> None:
    """Read what a method says of itself where its kind does, and the range of a measure."""
    names = dict.fromkeys(
        name
        for base in type(method).__mro__
        if base.__module__.startswith("invspec.kinds")
        for name in vars(base)
        if isinstance(getattr(type(method), name, None), property)
    )
    for name in names:
        # what is wrong with data or files, other checks say
        with suppress(InvspecError):
            getattr(method, name)
    if isinstance(method, Measure):
        method.range_of()


def warnings(spec: Spec) -> Iterator[SpecError]:
    """Cards that hide one that ships with invspec, and balls that nothing verifies."""
    for part, kind in PARTS.items():
        for label, entry in spec.entries[part].items():
            yield from _hidden(part, kind, label, _name(spec.source.values[part].get(label), label))
            yield from _unverified(part, label, entry.variants[0].method)


def _name(written: Any, label: str) -> str:
    fields = cast(Mapping[str, Any], written if isinstance(written, Mapping) else {})
    return str(fields.get("use", label))


def _hidden(part: str, kind: cards.Kind, label: str, name: str) -> Iterator[SpecError]:
    if name not in cards.shipped_names(kind):
        return
    path = cards.path(kind, name)
    if path != cards.shipped_path(kind, name):
        message = f"{path} replaces the {kind} {name} that ships with invspec"
        hint = "give the card a name of its own, unless that is meant"
        yield SpecError(message, hint=hint, path=(part, label))


def _unverified(part: str, label: str, method: Method) -> Iterator[SpecError]:
    fields, name = type(method).model_fields, type(method).__name__
    if part == "attacks" and "eps" in fields and "norm" not in fields and own_code.is_own(method):
        message = f"{name} has the field eps and no norm: nothing verifies that it stays in a ball"
        hint = 'give the class a field norm, such as `norm: Literal["linf"] = "linf"`'
        yield SpecError(message, hint=hint, path=(part, label))
