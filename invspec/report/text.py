"""The report on a terminal: claims, tables and where they come from, readable at 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from invspec.analysis.claims import Outcome, Verdict
from invspec.analysis.coordinates import shown
from invspec.report import provenance, table
from invspec.report.export import Report
from invspec.report.provenance import Provenance, duration
from invspec.report.table import Table

COLOURS: dict[Outcome, str] = {
    "holds": "bold green",
    "fails": "bold red",
    "undecided": "bold yellow",
    "missing": "dim",
}


GAP = 2  # blanks after a column: its padding and the divider of the box


def show(whole: Report, console: Console) -> None:
    """Print the whole report."""
    for part in _parts(whole, console.width):
        console.print(part)


def _parts(whole: Report, width: int) -> Iterator[RenderableType]:
    yield Text(f"\n{whole.plan.spec.title}", style="bold")
    if cited := provenance.citation(whole.plan.spec):
        yield Text(cited, style="dim")
    if whole.verdicts:
        yield Text(
            f"\nClaims: {', '.join(f'{count} {word}' for _, count, word in table.tally(whole.verdicts))}",
            style="bold",
        )
        yield Padding(_claims(whole.verdicts), (1, 0, 0, 0))
    for one in whole.tables:
        yield from _table(one, width)
    yield from _foot(whole)


def _grid(leading: int = 0) -> Grid:
    return Grid(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
        leading=leading,
    )


def _claims(verdicts: Sequence[Verdict]) -> Grid:
    grid = _grid(leading=1)
    grid.add_column("verdict", no_wrap=True)
    grid.add_column("claim", ratio=1)
    grid.add_column("measured", no_wrap=True)
    grid.add_column("asked", max_width=14)
    if any(verdict.published is not None for verdict in verdicts):
        grid.add_column("paper", no_wrap=True, justify="right")
    for verdict in verdicts:
        published = "" if verdict.published is None else table.short(verdict.published)
        cells = [
            Text(verdict.outcome, style=COLOURS[verdict.outcome]),
            _says(verdict),
            _measured(verdict),
        ]
        grid.add_row(
            *cells, Text(table.bound(verdict)), *[Text(published)][: len(grid.columns) - 4]
        )
    return grid


def _says(verdict: Verdict) -> Text:
    said = Text(verdict.claim.says)
    return said.append(f"\n{verdict.claim.source}", style="dim") if verdict.claim.source else said


def _measured(verdict: Verdict) -> Text:
    if verdict.outcome == "missing":
        return Text(
            f"·\n{verdict.lacking} score{'s' if verdict.lacking > 1 else ''} to come", style="dim"
        )
    value, interval = table.statistic(verdict)
    return Text(f"{verdict.statistic} {value}").append(f"\n{interval}", style="dim")


# ─ tables ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _table(one: Table, width: int) -> Iterator[RenderableType]:
    yield Text(f"\n{one.title}", style="bold")
    if one.about:
        yield Text(one.about, style="dim")
    yield Text(f"across: {one.headings[one.columns]}", style="dim")
    for columns in _chunks(one, width):
        yield Padding(_block(one, columns), (1, 0, 0, 0))
    yield Text("")
    yield Text(table.caption(one), style="dim")


def _block(one: Table, columns: range) -> Grid:
    grid = _grid()
    for name in one.rows:
        grid.add_column(_broken(one.headings[name]), no_wrap=True, vertical="top")
    for column in columns:
        grid.add_column(Text(shown(one.across[column]) or "none"), no_wrap=True, justify="right")
    for labels, line in zip(table.merged(one), one.lines, strict=True):
        cells = [_cell(*table.parts(line.numbers[column], one.decimals)) for column in columns]
        grid.add_row(*(Text(label) for label in labels), *cells)
    return grid


def _cell(value: str, around: str) -> Text:
    return Text(value).append(f"\n{around}", style="dim") if around else Text(value)


def _broken(heading: str) -> Text:
    """A heading on as many lines as it has parts."""
    return Text(heading.replace(".", ".\n").replace(" (", "\n("))


def _chunks(one: Table, width: int) -> Iterator[range]:
    """The columns, in runs that fit beside the row labels."""
    labels = sum(
        _width(_broken(one.headings[name]).plain.split("\n"), _of(one, row))
        for row, name in enumerate(one.rows)
    )
    numbers = [
        text
        for line in one.lines
        for number in line.numbers
        for text in table.parts(number, one.decimals)
    ]
    widths = [_width([shown(place) or "none"], numbers) for place in one.across]
    each = max(widths, default=1)
    fit = max((width - labels) // each, 1)
    for start in range(0, len(one.across), fit):
        yield range(start, min(start + fit, len(one.across)))


def _of(one: Table, row: int) -> list[str]:
    return [shown(line.labels[row]) for line in one.lines]


def _width(heading: Sequence[str], values: Sequence[str]) -> int:
    return max(map(len, [*heading, *values]), default=0) + GAP


# ─ the foot ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _foot(whole: Report) -> Iterator[Text]:
    yield Text("")
    if whole.missing:
        cells = len(whole.plan.cells)
        yield Text(f"{whole.missing:,} of {cells:,} cells are missing and read ·", style="bold")
    for line in provenance_lines(whole.provenance):
        yield Text(line, style="dim")


def provenance_lines(facts: Provenance) -> list[str]:
    """Who computed it, on what, how long, and how to do it again."""
    seeds = ", ".join(map(str, facts.seeds))
    made = [
        f"{facts.done:,} of {facts.tasks:,} tasks",
        f"seeds {seeds}",
        f"searched in {facts.precision}",
    ]
    spent = [f"{kind} {duration(seconds)}" for kind, seconds in facts.seconds.items() if seconds]
    versions = [f"{name} {', '.join(values)}" for name, values in facts.versions.items()]
    lines = [made, [facts.bits], spent, versions, [facts.command]]
    return [" · ".join(line) for line in lines if any(line)]
