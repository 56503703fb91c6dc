"""`invspec list`: the registry for people. Only one method's page imports its class."""

from __future__ import annotations

import inspect
import typing
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from invspec.errors import SpecError, suggest
from invspec.registry import cards
from invspec.registry.cards import KINDS, Card, Kind

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def show(kind: str | None, name: str | None) -> None:
    """Print the whole registry, one kind of it, or one method."""
    console = Console(soft_wrap=False)
    if kind is not None and kind not in KINDS:
        raise SpecError(f"no kind is named {kind!r}", hint=suggest(kind, KINDS))
    if kind is not None and name is not None:
        _page(console, kind, name)
        return
    for each in KINDS if kind is None else (kind,):
        console.print(_table(each))


def _table(kind: Kind) -> Table:
    table = Table(
        title=kind,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    table.add_column("name", no_wrap=True, style="cyan")
    table.add_column("what it is")
    table.add_column("paper", no_wrap=True)
    for name in cards.names(kind):
        card = cards.card(kind, name)
        table.add_row(name, escape(card.summary), card.paper or "")
    return table


def _page(console: Console, kind: Kind, name: str) -> None:
    from invspec.registry import methods

    card, method = cards.card(kind, name), methods.resolve(kind, name)
    fields = {about.alias or field: about for field, about in method.model_fields.items()}
    console.print(f"[bold]{name}[/bold]: {escape(card.summary)}")
    console.print(_provenance(card), style="dim", markup=False)
    console.print(_prose(method.__doc__ or ""), markup=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("field", "default", "type", "meaning"):
        table.add_column(heading, overflow="fold")
    for field, about in fields.items():
        cells = (field, _default(card, field, about), _type(about), about.description or "")
        table.add_row(*map(escape, cells))
    if fields:
        console.print(table)
    console.print(
        f"\nin a spec:\n  {kind}s:\n    {_example(kind, name, card, fields)}", markup=False
    )


def _prose(docstring: str) -> str:
    """A docstring whose paragraphs are one line each, so that they wrap where the terminal ends."""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _provenance(card: Card) -> str:
    paper = cards.papers().get(card.paper or "")
    cited = f"{paper.authors} ({paper.year}), {paper.title}" if paper else "no paper"
    return f"{cited}{f', {card.section}' if card.section else ''} · {card.target}"


def _default(card: Card, field: str, about: FieldInfo) -> str:
    if field in card.params:
        return _yaml(card.params[field])
    return (
        "required" if about.is_required() else _yaml(about.get_default(call_default_factory=True))
    )


def _yaml(value: Any) -> str:
    """A value as one would write it in a spec; a method by its class and the fields that were given."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if value == "":
        return '""'
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    given = getattr(value, "model_fields_set", None)
    if given is None:
        return str(value)
    return (
        f"{type(value).__name__} {_yaml({field: getattr(value, field) for field in sorted(given)})}"
    )


_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


_WORDS = {float: "number", int: "whole number", bool: "true | false", str: "text", NoneType: "null"}


def _type(about: FieldInfo) -> str:
    limits = [
        f"{sign} {getattr(one, name):g}"
        for one in about.metadata
        for name, sign in _SIGNS.items()
        if hasattr(one, name)
    ]
    return " ".join([_words(about.annotation), *limits])


def _words(annotation: Any) -> str:
    inner = get_args(annotation)
    if annotation in _WORDS or not inner:
        return _WORDS.get(annotation) or getattr(annotation, "__name__", str(annotation)).lower()
    match get_origin(annotation):
        case typing.Literal:
            return " | ".join(map(str, inner))
        case typing.Annotated:
            return _words(inner[0])
        case origin if origin in (tuple, list):
            return f"[{', '.join('...' if one is Ellipsis else _words(one) for one in inner)}]"
        case _:
            return " | ".join(map(_words, inner))


def _example(kind: Kind, name: str, card: Card, fields: dict[str, FieldInfo]) -> str:
    """An entry with what must be given, or else with the first field whose default a spec has as it is shown here."""
    left = {field: about for field, about in fields.items() if field not in card.params}
    required = [field for field, about in left.items() if about.is_required()]
    needed = required or [field for field, about in left.items() if not _nested(about.default)][:1]
    shown = {
        field: "..." if left[field].is_required() else _default(card, field, left[field])
        for field in needed
    }
    given = {**({"of": "label of an attack"} if kind == "measure" else {}), **shown}
    return f"{name}: {{{', '.join(f'{field}: {value}' for field, value in given.items())}}}"


def _nested(value: Any) -> bool:
    """Whether a value is, or holds, a method or a part of one."""
    if isinstance(value, list | tuple):
        return any(map(_nested, value))
    return hasattr(value, "model_fields_set")
