"""`invspec list`: the registry for people. Only one method's page imports its class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from invspec import cards
from invspec.cards import KINDS, Card, Kind
from invspec.errors import SpecError, suggest

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
    table = Table(title=kind, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True, style="cyan")
    table.add_column("what it is")
    table.add_column("paper", no_wrap=True)
    for name in cards.names(kind):
        card = cards.card(kind, name)
        table.add_row(name, card.summary, card.paper or "")
    return table


def _page(console: Console, kind: Kind, name: str) -> None:
    from invspec import registry

    card, method = cards.card(kind, name), registry.resolve(kind, name)
    console.print(f"[bold]{name}[/bold]: {card.summary}")
    console.print(_provenance(card), style="dim")
    console.print((method.__doc__ or "").strip().replace("\n    ", "\n"), markup=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("field", "default", "type", "meaning"):
        table.add_column(heading, overflow="fold")
    for field, about in method.model_fields.items():
        table.add_row(field, _default(card, field, about), _type(about), about.description or "")
    if method.model_fields:
        console.print(table)
    console.print(f"\nin a spec:\n  {kind}s:\n    {_example(method.model_fields, card, name)}", markup=False)


def _provenance(card: Card) -> str:
    paper = cards.papers().get(card.paper or "")
    cited = f"{paper.authors} ({paper.year}), {paper.title}" if paper else "no paper"
    return f"{cited}{f', {card.section}' if card.section else ''} · {card.target}"


def _default(card: Card, field: str, about: FieldInfo) -> str:
    if field in card.params:
        return str(card.params[field])
    return "required" if about.is_required() else str(about.get_default(call_default_factory=True))


def _type(about: FieldInfo) -> str:
    shown = str(about.annotation) if not isinstance(about.annotation, type) else about.annotation.__name__
    for noise in ("typing.", "invspec.kinds.", "Annotated"):
        shown = shown.replace(noise, "")
    limits = [str(limit) for limit in about.metadata if type(limit).__name__ in ("Ge", "Gt", "Le", "Lt", "Interval")]
    return " ".join([shown, *limits])


def _example(fields: dict[str, Any], card: Card, name: str) -> str:
    first = next((field for field in fields if field not in card.params), None)
    if first is None or fields[first].is_required():
        return f"{name}: {{}}"
    value = fields[first].get_default(call_default_factory=True)
    return f"{name}: {{{first}: {value}}}" if isinstance(value, int | float | str) else f"{name}: {{}}"
