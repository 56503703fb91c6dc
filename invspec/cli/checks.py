"""What the checks of a plan found, as `invspec check` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from invspec.analysis.doubts import Record
    from invspec.analysis.health import Health
    from invspec.execution.store import Store
    from invspec.plan.cells import Plan

HEADINGS = ("check", "status", "value", "95 % interval", "threshold", "images", "seconds")
GAP = 2
STYLES = {"fails": "bold red", "warns": "bold yellow", "passes": "green"}


def show(planned: Plan, store: Store) -> None:
    """Print a line for each examination, the reasons and hints of failures, and what they cost."""
    from invspec.analysis.health import health
    from invspec.analysis.snapshot import Snapshot
    from invspec.report import health as words
    from invspec.report import provenance

    seen = Snapshot(store)
    state = health(planned, seen)
    console = Console(highlight=False)
    for line in _lines(state):
        console.print(line)
    for line in words.lines(state):
        console.print(
            f"\n{line.status}: {line.check} of {line.subject}: {line.reason}", markup=False
        )
        if line.hint:
            console.print(f"hint: {line.hint}", markup=False)
    console.print(f"\n{words.headline(state)}", markup=False)
    if cost := words.cost(state, provenance.gather(planned, seen)):
        console.print(f"checks took {cost}", markup=False)


def _lines(state: Health) -> Iterator[Text]:
    """A line for each net, or attack on it, and below it one for each of its checks."""
    from invspec.plan.cells import subject

    rows = [_cells(record) for record in state.records]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    above = ""
    for record, cells in zip(state.records, rows, strict=True):
        if not above:
            yield _line(HEADINGS, widths)
        about = subject(record.examination, state.names_datasets)
        if about != above:
            yield Text(about, style="bold")
        above = about
        yield _line(cells, widths, STYLES.get(record.status, "dim"))


def _line(cells: tuple[str, ...], widths: list[int], style: str = "") -> Text:
    """Cells below their headings; the first two are words, which are in line on the left."""
    name, status, *numbers = (
        cell.ljust(width) if place < 2 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    gap = " " * GAP
    line = Text.assemble(gap, name, gap, (status, style), gap, gap.join(numbers))
    line.rstrip()
    return line


def _cells(record: Record) -> tuple[str, ...]:
    from invspec.report.format import interval, measured, short

    check, finding = record.examination.check, record.finding
    if finding is None or not finding.measured.n:
        return (check, record.status, *("" for _ in HEADINGS[2:]))
    number = finding.measured
    return (
        check,
        record.status,
        measured(number.value),
        interval(number.low, number.high),
        short(finding.threshold, digits=3),
        f"{number.n:,}",
        f"{record.seconds or 0.0:.1f}",
    )
