"""What the checks of a plan found, as `invspec check` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from invspec.analysis.doubts import Record
    from invspec.analysis.health import Health
    from invspec.execution.store import Store
    from invspec.plan.cells import Plan

STYLES = {"fails": "bold red", "warns": "bold yellow", "passes": "green"}


def show(planned: Plan, store: Store) -> None:
    """Print a line for each examination, the reasons and hints of failures, and what they took."""
    from invspec.analysis.health import health
    from invspec.analysis.snapshot import Snapshot
    from invspec.report import health as words
    from invspec.report import provenance

    seen = Snapshot(store)
    state = health(planned, seen)
    console = Console(highlight=False)
    if state.records:
        console.print(_table(state))
    for line in words.lines(state):
        console.print(
            f"\n{line.status}: {line.check} of {line.subject}: {line.reason}", markup=False
        )
        if line.hint:
            console.print(f"hint: {line.hint}", markup=False)
    console.print(f"\n{words.headline(state)}", markup=False)
    if cost := words.cost(state, provenance.gather(planned, seen)):
        console.print(cost, markup=False)


def _table(found: Health) -> Table:
    from invspec.plan.cells import subject

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("net, or attack on it", overflow="fold")
    for heading in ("check", "status"):
        table.add_column(heading, no_wrap=True)
    for heading in ("value", "threshold", "images", "seconds"):
        table.add_column(heading, no_wrap=True, justify="right")
    above = ""
    for record in found.records:
        about = subject(record.examination, found.names_datasets)
        table.add_row(Text("" if about == above else about), *_cells(record))
        above = about
    return table


def _cells(record: Record) -> tuple[Text, ...]:
    from invspec.report.format import measured, short

    status = Text(record.status, style=STYLES.get(record.status, "dim"))
    finding, check = record.finding, Text(record.examination.check)
    if finding is None or not finding.measured.n:
        return check, status, *map(Text, ("", "", "", ""))
    numbers = (measured(finding.measured.value), short(finding.threshold))
    seconds = f"{record.seconds or 0.0:.1f}"
    return check, status, *map(Text, (*numbers, f"{finding.measured.n:,}", seconds))
