"""`invspec report`: tables, figures and verdicts from what the store has."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from invspec.cli import options
from invspec.cli.options import DEFAULT_STORE, Data, Registry, Scale, Set, Smoke, StoreOption


class Format(StrEnum):
    """Format of a report."""

    rich = "rich"
    csv = "csv"
    json = "json"
    latex = "latex"
    html = "html"


def report(
    spec: Annotated[
        str | None, typer.Argument(help="a spec (default: that of the last run)")
    ] = None,
    format: Annotated[Format, typer.Option(help="format to write")] = Format.rich,
    output: Annotated[Path | None, typer.Option(help="folder to write to")] = None,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    scale: Scale = None,
    set: Set = None,
    smoke: Smoke = False,
    registry: Registry = None,
) -> None:
    """Show tables, figures and verdicts from the store; missing numbers show as a dot."""
    from invspec.cli import last_run, session

    finished = options.store_at(store)
    call = last_run.Call(spec, scale, set, smoke, registry) if spec else last_run.load(finished)
    data = data or call.data
    folders = options.call(call.registry, store, data)
    options.set_data(data)
    plan = options.planned(call.spec, call.scale, call.set, call.smoke, call.registry, finished)
    session.show(plan, finished, format.value, output, folders)
