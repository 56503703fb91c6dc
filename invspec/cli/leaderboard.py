"""`invspec leaderboard`: the nets of a store by their robust accuracy, by data set and threat."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from invspec.cli import options
from invspec.cli.compare import Format
from invspec.cli.options import DEFAULT_STORE, Data, Registry, StoreOption
from invspec.errors import SpecError

NAME = "leaderboard"


def leaderboard(
    format: Annotated[Format, typer.Option(help="format to write")] = Format.rich,
    output: Annotated[Path | None, typer.Option(help="folder to write to")] = None,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    registry: Registry = None,
) -> None:
    """Rank all nets of a store by robust accuracy, by data set, norm and eps; show ties as ties."""
    from rich.console import Console

    from invspec.analysis.boards import boards
    from invspec.analysis.trials import holdings
    from invspec.cli import session
    from invspec.report import export, sheets
    from invspec.report import leaderboard as page

    options.set_data(data)
    options.add_registries(registry)
    held = holdings(options.store_at(store))
    listed = boards(held)
    if not listed:
        hint = "run a spec with an attack that has `eps` and `norm`"
        raise SpecError(f"{store} has no attack in a ball", where="--store", hint=hint)
    match format:
        case Format.rich:
            sheets.show(page.sheets(listed, held), Console(highlight=False))
        case Format.markdown:
            text = sheets.markdown(page.sheets(listed, held))
            session.deliver(text, output, f"{NAME}.md")
        case Format.csv:
            records = page.records(listed)
            text = export.csv_of(page.columns(records), records)
            session.deliver(text, output, f"{NAME}.csv")
        case Format.json:
            text = export.json_of({"boards": page.records(listed), "unread": dict(held.unread)})
            session.deliver_json(text, output, f"{NAME}.json")
