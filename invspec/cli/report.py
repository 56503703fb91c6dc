"""`invspec report`: tables, figures and verdicts from what the store has, or of saved reports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from invspec.cli import completion, options
from invspec.cli.gate import Gate, JUnit, Summary, Wanted
from invspec.cli.options import AS_WRITTEN, DEFAULT_STORE, Data, Selection, StoreOption
from invspec.errors import SpecError


class Format(StrEnum):
    """Format of a report."""

    rich = "rich"
    csv = "csv"
    json = "json"
    parquet = "parquet"
    latex = "latex"
    html = "html"
    markdown = "markdown"


class Rows(StrEnum):
    """What a file of rows has one for."""

    cells = "cells"
    numbers = "numbers"
    verdicts = "verdicts"
    checks = "checks"


class Tracker(StrEnum):
    """Where a report can be exported to."""

    mlflow = "mlflow"
    tensorboard = "tensorboard"
    wandb = "wandb"


Specs = Annotated[
    list[str] | None,
    typer.Argument(
        help="a spec (default: that of the last run), or reports in JSON",
        autocompletion=completion.specs,
    ),
]
RowsOption = Annotated[
    Rows | None,
    typer.Option(
        help="what csv, json or parquet has a row for: cells (each seed by itself, the default "
        "of csv and parquet), numbers of tables and figures (means over seeds), verdicts or "
        "checks"
    ),
]
To = Annotated[
    Tracker | None,
    typer.Option(
        help="export to an experiment tracker instead: runs with settings, numbers with "
        "intervals, curves, verdicts and the page; nothing is sent unless MLFLOW_TRACKING_URI "
        "names a server"
    ),
]
Output = Annotated[Path | None, typer.Option(help="folder to write to")]
Width = Annotated[
    float | None,
    typer.Option(
        help="inches, for --format latex --output: the width of charts (default 6.75, the "
        "text of a paper in two columns; 3.25 is one column)",
        min=1.5,
        max=20,
    ),
]


@options.selecting
def report(
    specs: Specs = None,
    format: Annotated[Format, typer.Option(help="format to write")] = Format.rich,
    rows: RowsOption = None,
    to: To = None,
    output: Output = None,
    width: Width = None,
    gate: Gate = False,
    junit: JUnit = None,
    summary: Summary = None,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    selection: Selection = AS_WRITTEN,
) -> None:
    """Show tables, figures and verdicts from the store; missing numbers show as a dot.

    Several reports that `--format json` wrote become pages in Markdown, one for each paper.
    """
    from invspec.cli import last_run, session

    wanted = Wanted(gate, junit, summary)
    if any(spec.endswith(".json") for spec in specs or ()):
        _refuse_options(selection, hint="options select the plan of a spec")
        _refuse_for_saved({"rows": rows, "to": to, **asdict(wanted)})
        session.show_saved(specs or [], format.value, output)
        return
    spec = _only(specs)
    finished = options.store_at(store)
    if spec is None:
        hint = "invspec report SPEC ..., or leave the option out for the last run as it was"
        _refuse_options(selection, hint)
    call = last_run.Call(spec, selection) if spec else last_run.load(finished)
    data = data or call.data
    folders = options.call(call.selection.registry, store, data)
    options.set_data(data)
    plan = options.planned(call.spec, call.selection, finished)
    wanted.check(plan)
    if to:
        _refuse_shape(format, rows)
        raise typer.Exit(session.export(plan, finished, to.value, output, folders, wanted))
    chosen = rows.value if rows else None
    if width is not None and (format != Format.latex or output is None):
        hint = "--format latex --output FOLDER writes figures for a paper"
        raise SpecError("is for figures of a paper", where="--width", hint=hint)
    inches = session.PAGE_WIDTH if width is None else width
    code = session.show(plan, finished, format.value, output, folders, chosen, wanted, inches)
    raise typer.Exit(code)


def _refuse_for_saved(given: Mapping[str, object]) -> None:
    """Raises: SpecError if an option that reads the store is given with saved reports."""
    for name, value in given.items():
        if value:
            hint = f"invspec report SPEC --{name} reads the store"
            raise SpecError("is not for saved reports", where=f"--{name}", hint=hint)


def _refuse_shape(format: Format, rows: Rows | None) -> None:
    """Raises: SpecError if an export to a tracker is to have the shape of a file."""
    if format is not Format.rich or rows:
        option = "--rows" if rows else "--format"
        raise SpecError("is not for --to", where=option, hint="export and write files in two calls")


def _only(specs: list[str] | None) -> str | None:
    """The one spec that is named, if any. Raises: SpecError if there are several."""
    if len(specs or ()) > 1:
        hint = "only reports in JSON can be shown together: invspec report A.json B.json"
        raise SpecError(f"expected one spec, found {len(specs or ())}", hint=hint)
    return specs[0] if specs else None


def _refuse_options(selection: Selection, hint: str) -> None:
    """Raises: SpecError if options select a plan of a spec that is not named."""
    for name, value in asdict(selection).items():
        # folders that the environment names select nothing
        if value and not (name == "registry" and os.environ.get("INVSPEC_REGISTRY")):
            raise SpecError("needs a spec", where=f"--{name}", hint=hint)
