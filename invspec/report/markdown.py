"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from invspec.report import captions
from invspec.report.format import Shown, heading_rows, shown_lines
from invspec.report.table import Table


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with one row of headings."""
    lines = [list(headings), ["---"] * len(headings), *map(list, rows)]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def section(layout: Table) -> str:
    """A table of a report with its title, its summary and its caption."""
    headings = [*(layout.headings[name] for name in layout.rows), *_headings(layout)]
    rows = [
        [*labels, *(_number(number) for number in numbers)]
        for labels, numbers in shown_lines(layout)
    ]
    parts = [f"### {layout.title}", layout.summary, table(headings, rows), captions.caption(layout)]
    return "\n\n".join(filter(None, parts))


def _headings(layout: Table) -> list[str]:
    """The headings of numbers in one row, as Markdown has no cells that span several columns."""
    upper, lower = heading_rows(layout)
    if not upper:
        return lower
    spanning = [heading for heading, count in upper for _ in range(count)]
    return [
        f"{above}: {below}" if below else above
        for above, below in zip(spanning, lower, strict=True)
    ]


def _number(number: Shown) -> str:
    value = f"**{number.value}**" if number.is_best else number.value
    return f"{value} {number.margin}".rstrip()


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
