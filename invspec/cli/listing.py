"""The pages of `invspec list`. Only the page of a single method imports its class."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from invspec.errors import SpecError, suggest

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from rich.console import Console
    from rich.table import Table

    from invspec.kinds import Attack, Measure, Method
    from invspec.registry.cards import Card, Kind

Fields = dict[str, "FieldInfo"]  # by the names that a spec uses


def show(kind: str | None, name: str | None) -> None:
    """Print the registry, one kind of method, or one method."""
    from rich.console import Console

    from invspec.registry.cards import KINDS

    console = Console(soft_wrap=False)
    if kind is not None and kind not in KINDS:
        raise SpecError(f"no kind is named {kind!r}", hint=suggest(kind, KINDS))
    if kind is not None and name is not None:
        _page(console, kind, name)
        return
    for listed in KINDS if kind is None else (kind,):
        console.print(_table(listed))


def _table(kind: Kind) -> Table:
    """A table of the methods of a kind: name, summary, paper."""
    from rich.markup import escape
    from rich.table import Table

    from invspec.registry import cards

    style: dict[str, Any] = {"box": None, "pad_edge": False, "padding": (0, 2, 0, 0)}
    table = Table(title=kind, title_justify="left", title_style="bold", **style)
    table.add_column("name", no_wrap=True, style="cyan")
    table.add_column("summary")
    table.add_column("paper", no_wrap=True)
    for name in cards.names(kind):
        card = cards.card(kind, name)
        table.add_row(name, escape(card.summary), card.paper or "")
    return table


def _page(console: Console, kind: Kind, name: str) -> None:
    """Print the page of a method: summary, provenance, description, fields, example."""
    from rich.markup import escape
    from rich.table import Table

    from invspec.registry import cards, methods

    card, method = cards.card(kind, name), methods.resolve(kind, name)
    fields = fields_of(method)
    console.print(f"[bold]{name}[/bold]: {escape(card.summary)}")
    console.print(_provenance(card), style="dim", markup=False)
    console.print(_prose(method.__doc__ or ""), markup=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("field", "default", "type", "meaning"):
        table.add_column(heading, overflow="fold")
    for field, about in fields.items():
        cells = (field, _default(card, field, about), _type(about), _meaning(about))
        table.add_row(*map(escape, cells))
    if fields:
        console.print(table)
    if kind == "measure":
        console.print(_attacks_read(cast("type[Measure]", method)), markup=False)
    console.print("\nin a spec:", markup=False)
    for line in example(kind, name).splitlines():
        console.print(f"  {line}", markup=False, soft_wrap=True)


def _attacks_read(measure: type[Measure]) -> str:
    """The number of attacks in `of`."""
    least, most = measure.takes
    if most > 1:
        return f"of {least} attacks" if least == most else f"of {least} to {most} attacks"
    several = "; of several, each example counts with the worst result"
    return f"of one attack{several if measure.has_worst_case() else ''}"


def fields_of(method: type[Method]) -> Fields:
    """The fields of a method: first those that it adds, last those of its most general base."""
    ancestry = [vars(base).get("__annotations__", {}) for base in method.__mro__]

    def origin(name: str) -> int:
        # a subclass may declare a field again, for another default
        return max(steps for steps, names in enumerate(ancestry) if name in names)

    ordered = sorted(method.model_fields, key=origin)
    return {method.model_fields[name].alias or name: method.model_fields[name] for name in ordered}


def _prose(docstring: str) -> str:
    """A docstring with one line per paragraph, which the terminal wraps. Indented text stays."""
    return "\n\n".join(map(_paragraph, inspect.cleandoc(docstring).split("\n\n")))


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if any(line.startswith((" ", "- ")) for line in lines):
        return text
    return " ".join(lines)


def _provenance(card: Card) -> str:
    from invspec.registry import cards

    paper = cards.papers().get(card.paper or "")
    cited = f"{paper.authors} ({paper.year}), {paper.title}" if paper else "no paper"
    return f"{cited}{f', {card.section}' if card.section else ''} · {card.target}"


# ─ fields ───────────────────────────────────────────────────────────────────────────────────────


def _default(card: Card, field: str, about: FieldInfo) -> str:
    if field in card.params:
        return _yaml(card.params[field])
    return "required" if about.is_required() else _yaml(_default_of(about))


def _default_of(about: FieldInfo) -> Any:
    return about.get_default(call_default_factory=True)


def _yaml(value: Any) -> str:
    """A value as a spec writes it; a method by its class and the fields that were set."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if value == "":
        return '""'
    if isinstance(value, dict):
        items = cast(dict[str, Any], value).items()
        return f"{{{', '.join(f'{key}: {_yaml(item)}' for key, item in items)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_yaml, cast(list[Any], value)))}]"
    changed = getattr(value, "model_fields_set", None)
    if changed is None:
        return str(value)
    settings = {field: getattr(value, field) for field in sorted(changed)}
    return f"{type(value).__name__} {_yaml(settings)}"


_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_WORDS = {float: "number", int: "whole number", bool: "true | false", str: "text", NoneType: "null"}


def _type(about: FieldInfo) -> str:
    limits = {
        name: f"{getattr(constraint, name):g}"
        for constraint in about.metadata
        for name in _SIGNS
        if hasattr(constraint, name)
    }
    if limits.keys() == {"ge", "le"}:
        return f"{_words(about.annotation)} {limits['ge']} to {limits['le']}"
    signed = ", ".join(f"{_SIGNS[name]} {limit}" for name, limit in limits.items())
    return f"{_words(about.annotation)} {signed}".rstrip()


def _meaning(about: FieldInfo) -> str:
    """The description of a field and its unit."""
    from invspec.kinds.units import annotated_unit

    unit = annotated_unit(about)
    # descriptions that already name their unit say it once
    unit = "" if unit and unit.split()[0] in (about.description or "") else unit
    return f"{about.description or ''}{f' ({unit})' if unit else ''}"


def _words(annotation: Any) -> str:
    """A type in words: number, linf | l2, [whole number, ...]."""
    inner = get_args(annotation)
    if annotation in _WORDS or not inner:
        return _WORDS.get(annotation) or getattr(annotation, "__name__", str(annotation)).lower()
    match get_origin(annotation):
        case typing.Literal:
            return " | ".join(map(str, inner))
        case typing.Annotated:
            return _words(inner[0])
        case origin if origin in (tuple, list):
            items = ("..." if item is Ellipsis else _words(item) for item in inner)
            return f"[{', '.join(items)}]"
        case _:
            return " | ".join(map(_words, inner))


# ─ an example ───────────────────────────────────────────────────────────────────────────────────


def example(kind: Kind, name: str) -> str:
    """The part of a spec that uses a method, as YAML.

    It is the example of the card or, if the card has none, the method's entry with its required
    fields, and the entries that it refers to.
    """
    from invspec.registry import cards

    parts = cards.card(kind, name).example or _computed(kind, name)
    return "\n".join(
        line
        for part, entries in parts.items()
        for line in (
            f"{part}:",
            *(f"  {label}: {_yaml(entry)}" for label, entry in entries.items()),
        )
    )


def _computed(kind: Kind, name: str) -> dict[str, dict[str, Any]]:
    """Parts of a spec, by name: the method's entry, and for a measure the attack that it reads."""
    from invspec.registry import cards, methods

    method = methods.resolve(kind, name)
    entry = dict(_entry(cards.card(kind, name), fields_of(method)))
    pairs: dict[str, Any] = {"sample": {"targets": {"per_class": 1}}}
    if kind == "attack" and _wants_target(name, entry):
        entry |= pairs
    if kind != "measure":
        return {f"{kind}s": {name: entry}}
    attack = {"identity": pairs if getattr(method, "wants_target", False) else {}}
    return {"attacks": attack, "measures": {name: {"of": "identity", **entry}}}


def _entry(card: Card, fields: Fields) -> Iterator[tuple[str, Any]]:
    """The required fields or, if there are none, the first whose default fits into YAML."""
    open_fields = {name: about for name, about in fields.items() if name not in card.params}
    if required := [name for name, about in open_fields.items() if about.is_required()]:
        yield from ((name, "...") for name in required)
        return
    defaults = {name: _default_of(about) for name, about in open_fields.items()}
    yield from [item for item in defaults.items() if not _holds_method(item[1])][:1]


def _wants_target(name: str, entry: Mapping[str, Any]) -> bool:
    """Whether an attack walks to a target image; False if a required field is not yet set."""
    from invspec.registry import methods

    if "..." in entry.values():
        return False
    return cast("Attack", methods.make("attack", name, dict(entry))).wants_target


def _holds_method(value: Any) -> bool:
    """Whether a value is or contains a method or another settings object."""
    if isinstance(value, list | tuple):
        return any(map(_holds_method, cast(list[Any], value)))
    return hasattr(value, "model_fields_set")
