"""`invspec doctor`: does this machine have what runs need?"""

from __future__ import annotations

import typer

from invspec.cli import options
from invspec.cli.options import DEFAULT_STORE, Data, Registry, StoreOption

# text before an observation, by its outcome; readable without colour
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
    observations = list(checkup.observe(store))
    for observation in observations:
        text = Text(observation.text)
        if observation.hint:
            text.append(f"\n{observation.hint}", style="dim")
        mark = Text(MARKS[observation.outcome], style=STYLES[observation.outcome])
        table.add_row(mark, Text(observation.subject), text)
    Console(highlight=False).print(table)
    raise typer.Exit(1 if any(observation.outcome == "bad" for observation in observations) else 0)
