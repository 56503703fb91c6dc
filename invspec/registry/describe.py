"""What is said of a method, from its card and its class."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import cast

from invspec.kinds import Attack, Measure, Method, plain
from invspec.registry import cards, field_schemas, methods
from invspec.registry.cards import Card, Kind
from invspec.registry.catalogue import Description, FieldText
from invspec.registry.examples import example, holds_method
from invspec.registry.words import default, default_of, fields_of, meaning, type_words


def describe(kind: Kind, name: str) -> Description:
    """The description of a method. Imports its class.

    Raises: SpecError if there is no such method, or its card or class is wrong.
    """
    card, method = cards.card(kind, name), methods.resolve(kind, name)
    return Description(
        summary=card.summary,
        provenance=_provenance(card),
        fields=tuple(_fields(card, method)),
        example=example(kind, name),
        text=_prose(method.__doc__ or ""),
        paper=card.paper,
        attacks=_attacks_read(cast(type[Measure], method)) if kind == "measure" else "",
        transforms=kind == "attack" and cast(type[Attack], method).ignores_model,
    )


def _fields(card: Card, method: type[Method]) -> Iterator[FieldText]:
    schemas = field_schemas.schemas_of(method)
    for name, about in fields_of(method).items():
        is_required = name not in card.params and about.is_required()
        value = card.params.get(name) if name in card.params else default_of(about)
        written = {} if is_required or holds_method(value) else {"default": plain(value)}
        yield FieldText(
            name=name,
            type=type_words(about),
            schema={**written, **schemas.get(name, {})},
            meaning=meaning(about),
            default=None if is_required else default(card, name, about),
        )


def _provenance(card: Card) -> str:
    paper = cards.papers().get(card.paper or "")
    cited = f"{paper.authors} ({paper.year}), {paper.title}" if paper else "no paper"
    return f"{cited}{f', {card.section}' if card.section else ''} · {card.target}"


def _attacks_read(measure: type[Measure]) -> str:
    """The number of attacks in `of`."""
    least, most = measure.takes
    if most > 1:
        return f"of {least} attacks" if least == most else f"of {least} to {most} attacks"
    several = "; of several, each example counts with the worst result"
    return f"of one attack{several if measure.has_worst_case() else ''}"


def _prose(docstring: str) -> str:
    """A docstring with one line per paragraph, which a terminal wraps. Indented text stays."""
    return "\n\n".join(map(_paragraph, inspect.cleandoc(docstring).split("\n\n")))


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if any(line.startswith((" ", "- ")) for line in lines):
        return text
    return " ".join(lines)
