"""The pages of `invspec list`. Only the page of a user's own method imports its class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invspec.cli import descriptions
from invspec.errors import SpecError, suggest
from invspec.registry import cards, catalogue
from invspec.registry.cards import KINDS, Kind, names, with_article

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def show(kind: str | None, name: str | None) -> None:
    """Print the registry, one kind of method, or one method; its kind may be left out."""
    from rich.console import Console

    console = Console(soft_wrap=False)
    if kind is not None and kind not in KINDS:
        kinds: list[Kind] = [known for known in KINDS if kind in names(known)]
        if name is not None or not kinds:
            raise SpecError(f"no kind is named {kind!r}", hint=_hint(kind, kinds))
        for known in kinds:
            console.print(f"{known} {kind}", style="dim", markup=False)
            _page(console, known, kind)
        return
    if kind is not None and name is not None:
        _page(console, kind, name)
        return
    for listed in KINDS if kind is None else (kind,):
        console.print(_table(listed))


def _hint(word: str, kinds: list[Kind]) -> str:
    """What may be meant by a word that is no kind: the name of a method, or one near to it."""
    if kinds:
        return f"{word} is the name of {' and '.join(map(with_article, kinds))}"
    kind, method = suggest(word, KINDS), suggest(word, {n for k in KINDS for n in names(k)})
    return kind if kind.startswith("did") or not method else method


def _table(kind: Kind) -> Table:
    """A table of the methods of a kind: name, summary, paper."""
    from rich.markup import escape
    from rich.table import Table

    style: dict[str, Any] = {"box": None, "pad_edge": False, "padding": (0, 2, 0, 0)}
    table = Table(title=kind, title_justify="left", title_style="bold", **style)
    table.add_column("name", no_wrap=True, style="cyan")
    table.add_column("summary")
    table.add_column("paper", no_wrap=True)
    for name in cards.names(kind):
        about = catalogue.find(kind, name) or cards.card(kind, name)
        table.add_row(name, escape(about.summary), about.paper or "")
    return table


def _page(console: Console, kind: Kind, name: str) -> None:
    """Print the page of a method: summary, provenance, description, fields, example."""
    from rich.markup import escape
    from rich.table import Table

    about = descriptions.of(kind, name)
    console.print(f"[bold]{name}[/bold]: {escape(about.summary)}")
    console.print(about.provenance, style="dim", markup=False)
    console.print(about.text, markup=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("field", "default", "type", "meaning"):
        table.add_column(heading, overflow="fold")
    for field in about.fields:
        default = "required" if field.default is None else field.default
        table.add_row(*map(escape, (field.name, default, field.type, field.meaning)))
    if about.fields:
        console.print(table)
    if about.attacks:
        console.print(about.attacks, markup=False)
    console.print("\nin a spec:", markup=False)
    for line in about.example.splitlines():
        console.print(f"  {line}", markup=False, soft_wrap=True)
