"""`invspec samples`: a table with one row per example of every cell."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from invspec.cli import options
from invspec.cli.options import AS_WRITTEN, DEFAULT_STORE, Selection, SpecName, StoreOption
from invspec.errors import counted


class TableFormat(StrEnum):
    """Format of the table."""

    parquet = "parquet"
    csv = "csv"


@options.selecting
def samples(
    spec: SpecName,
    format: Annotated[TableFormat, typer.Option(help="parquet or csv")] = TableFormat.parquet,
    output: Annotated[
        Path | None, typer.Option(help="file to write (default: <spec>.parquet or .csv here)")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    selection: Selection = AS_WRITTEN,
) -> None:
    """Write one row per example of every cell: its predictions, distances and cost."""
    from invspec.report import samples as long_form

    finished = options.store_at(store)
    plan = options.planned(spec, selection, finished)
    path = output or Path(f"{plan.spec.name}.{format.value}")
    count = long_form.write(plan, finished, path, format.value)
    print(f"{path}: {counted(count, 'row')}")
