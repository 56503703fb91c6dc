"""`invspec doctor`: does this machine have what runs need?"""

from __future__ import annotations

import typer

from invspec.cli import options
from invspec.cli.options import DEFAULT_STORE, Data, Registry, StoreOption

# text before a check, by its outcome; readable without colour
MARKS = {"ok": "ok  ", "note": "note", "bad": "BAD "}
STYLES = {"ok": "green", "note": "yellow", "bad": "bold red"}


def doctor(
    store: StoreOption = DEFAULT_STORE, data: Data = None, registry: Registry = None
) -> None:
    """Check devices, engines, data, weights, store and versions; say what to do."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from invspec.execution import checkup

    options.set_data(data)
    options.add_registries(registry)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    findings = list(checkup.examine(store))
    for finding in findings:
        text = Text(finding.text)
        if finding.hint:
            text.append(f"\n{finding.hint}", style="dim")
        mark = Text(MARKS[finding.outcome], style=STYLES[finding.outcome])
        table.add_row(mark, Text(finding.subject), text)
    Console(highlight=False).print(table)
    raise typer.Exit(1 if any(finding.outcome == "bad" for finding in findings) else 0)
