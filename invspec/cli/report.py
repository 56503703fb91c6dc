"""`invspec report`: tables, figures and verdicts from what the store has."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from invspec.cli import options
from invspec.cli.options import AS_WRITTEN, DEFAULT_STORE, Data, Selection, StoreOption
from invspec.errors import SpecError


class Format(StrEnum):
    """Format of a report."""

    rich = "rich"
    csv = "csv"
    json = "json"
    latex = "latex"
    html = "html"


@options.selecting
def report(
    spec: Annotated[
        str | None, typer.Argument(help="a spec (default: that of the last run)")
    ] = None,
    format: Annotated[Format, typer.Option(help="format to write")] = Format.rich,
    output: Annotated[Path | None, typer.Option(help="folder to write to")] = None,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    selection: Selection = AS_WRITTEN,
) -> None:
    """Show tables, figures and verdicts from the store; missing numbers show as a dot."""
    from invspec.cli import last_run, session

    finished = options.store_at(store)
    if spec is None:
        _refuse_options(selection)
    call = last_run.Call(spec, selection) if spec else last_run.load(finished)
    data = data or call.data
    folders = options.call(call.selection.registry, store, data)
    options.set_data(data)
    plan = options.planned(call.spec, call.selection, finished)
    session.show(plan, finished, format.value, output, folders)


def _refuse_options(selection: Selection) -> None:
    """Raises SpecError if options select a plan of a spec that is not named."""
    for name, value in asdict(selection).items():
        if value:
            hint = "invspec report SPEC ..., or leave the option out for the last run as it was"
            raise SpecError("needs a spec", where=f"--{name}", hint=hint)
