"""Plain tables of text, for the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text


@dataclass(frozen=True)
class Sheet:
    """A table of text with a title above and notes below.

    numbers are the headings of columns that hold numbers; they are aligned to the right.
    """

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    numbers: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def has_rows(self) -> bool:
        """Whether there is a table to show, beside title and notes."""
        return bool(self.rows)


def show(sheets: Sequence[Sheet], console: Console) -> None:
    """Print tables on a terminal."""
    for place, sheet in enumerate(sheets):
        console.print(Text("\n" * (place > 0) + sheet.title, style="bold"))
        if sheet.has_rows:
            console.print(_grid(sheet))
        for note in sheet.notes:
            console.print(Text(note, style="dim"))


def _grid(sheet: Sheet) -> Grid:
    grid = Grid(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for name in sheet.columns:
        justify = "right" if name in sheet.numbers else "left"
        heading = Text(name.replace(".", ".\n").replace(" (", "\n("))
        grid.add_column(heading, justify=justify, overflow="fold", vertical="top")
    for row in sheet.rows:
        grid.add_row(*map(Text, row))
    return grid


def markdown(sheets: Sequence[Sheet]) -> str:
    """Tables as Markdown, each under a heading."""
    return "\n\n".join("\n\n".join(_blocks(sheet)) for sheet in sheets) + "\n"


def _blocks(sheet: Sheet) -> Iterator[str]:
    yield f"## {_escaped(sheet.title)}"
    if sheet.has_rows:
        rule = tuple("---:" if name in sheet.numbers else "---" for name in sheet.columns)
        rows = (tuple(map(_escaped, row)) for row in (sheet.columns, *sheet.rows))
        heading, *body = (f"| {' | '.join(row)} |" for row in rows)
        yield "\n".join([heading, f"| {' | '.join(rule)} |", *body])
    yield from map(_escaped, sheet.notes)


def _escaped(text: str) -> str:
    """Text in one line, without what Markdown would read as a column, a tag or emphasis."""
    for character in "|<*":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
