"""`invspec samples`: a table with one row per example of every cell."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from invspec.cli import options
from invspec.cli.options import AS_WRITTEN, DEFAULT_STORE, Data, Selection, SpecName, StoreOption
from invspec.errors import SpecError, counted

# the --output that means stdout
STDOUT = Path("-")


class TableFormat(StrEnum):
    """Format of the table."""

    parquet = "parquet"
    csv = "csv"


@options.selecting
def samples(
    spec: SpecName,
    format: Annotated[
        TableFormat | None,
        typer.Option(help="parquet or csv (default: by the suffix of the file, else parquet)"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="file to write (default: <spec>.parquet or .csv here); - for stdout"),
    ] = None,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    selection: Selection = AS_WRITTEN,
) -> None:
    """Write one row per example of every cell: its predictions, distances and cost."""
    from invspec.report import samples as long_form

    options.set_data(data)
    kind = _format(format, output)
    finished = options.store_at(store)
    plan = options.planned(spec, selection, finished)
    if output == STDOUT:
        count = long_form.stream(plan, finished, sys.stdout.buffer, kind.value)
        print(f"stdout: {counted(count, 'row')}", file=sys.stderr)
        return
    path = output or Path(f"{plan.spec.name}.{kind.value}")
    count = long_form.write(plan, finished, path, kind.value)
    print(f"{path}: {counted(count, 'row')}")


def _format(given: TableFormat | None, output: Path | None) -> TableFormat:
    """The format that is given or, without one, that of the file's suffix.

    Raises: SpecError if the two contradict each other, or the suffix is of neither format.
    """
    suffix = "" if output in (None, STDOUT) else output.suffix.removeprefix(".").lower()
    if not suffix:
        return given or TableFormat.parquet
    formats = [known.value for known in TableFormat]
    if given is not None and suffix in formats and suffix != given.value:
        message = f"{output} has the suffix of {suffix}, and --format is {given.value}"
        raise SpecError(message, where="--output", hint="leave --format out")
    if given is None and suffix not in formats:
        message = f"the suffix of {output} is of no format"
        hint = f"expected {' or '.join(f'.{name}' for name in formats)}; or give --format"
        raise SpecError(message, where="--output", hint=hint)
    return given or TableFormat(suffix)
