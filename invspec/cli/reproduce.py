"""`invspec reproduce`: run the spec of a report again, and compare the numbers."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from invspec.cli import options
from invspec.cli.executors import Choice
from invspec.cli.options import Data, Registry
from invspec.cli.run import BatchSize, Devices, Workers
from invspec.errors import SpecError, counted

if TYPE_CHECKING:
    from invspec.execution.store import Store
    from invspec.report.provenance import Call
    from invspec.report.reproduction import Comparison, Recorded

# names the report whose numbers a store holds, so that an interrupted command can continue
MARK = "reproduces.json"
MOST = 20


def reproduce(
    report: Annotated[Path, typer.Argument(help="a report that `--format json` wrote")],
    store: Annotated[
        Path | None,
        typer.Option("--store", help="a new folder for the results (default: a temporary one)"),
    ] = None,
    devices: Devices = None,
    workers: Workers = None,
    batch_size: BatchSize = None,
    data: Data = None,
    registry: Registry = None,
) -> None:
    """Run the spec of a report on a fresh store, and compare keys and numbers with the report's.

    Exits with 0 if all are equal to the bit, with 1 and a list of what differs if not.
    """
    from invspec.report import reproduction

    recorded = reproduction.read(report)
    choice = Choice(devices=devices, workers=workers, batch_size=batch_size)
    with _folder(store) as folder:
        finished = options.store_at(folder, create=True)
        _mark(finished, recorded)
        call = _prepared(recorded, registry, data, str(folder))
        ours = repeated(recorded, finished, choice, call)
    compared = reproduction.compare(recorded.body, ours)
    show(compared)
    raise typer.Exit(1 if compared.differences else 0)


@contextmanager
def _folder(store: Path | None) -> Generator[Path]:
    """The folder of the results; a temporary one is deleted afterwards."""
    if store is None:
        with TemporaryDirectory(prefix="invspec-") as folder:
            yield Path(folder)
    else:
        with options.resumable():
            yield store


def _mark(store: Store, recorded: Recorded) -> None:
    """Note in a store which report it repeats. Raises SpecError if it has other results."""
    from invspec.execution import disk

    mark = {"report": str(recorded.path.resolve()), "sha256": disk.sha256(recorded.path)}
    path = store.root / MARK
    if path.is_file() and path.read_text() == json.dumps(mark):
        return
    if any(store.folders()):
        raise SpecError(
            f"{store.root} holds results, which would not be computed again",
            where="--store",
            hint="give a new folder",
        )
    with disk.writing(store.root):
        store.root.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(mark))


def _prepared(
    recorded: Recorded, registry: list[Path] | None, data: Path | None, store: str
) -> Call:
    """Use the given folders, else those of the report."""
    folders = registry or recorded.registry
    options.add_registries(folders)
    call = options.call(folders, Path(store), data)
    if call.data is None and recorded.data is not None and recorded.data.is_dir():
        data = recorded.data
        call = options.call(folders, Path(store), data)
    options.set_data(data)
    return call


def repeated(recorded: Recorded, store: Store, choice: Choice, call: Call) -> dict[str, Any]:
    """The report of a new run, as its JSON."""
    from invspec.analysis.snapshot import Snapshot
    from invspec.cli import session
    from invspec.report import contents, export

    engine = choice.executor()
    plan = recorded.plan(options.answers(store))
    session.run(plan, store, engine)
    seen = Snapshot(store)
    return json.loads(export.json_text(contents.report(plan, seen, call), seen))


def show(compared: Comparison) -> None:
    """Print what was compared, what differs, and what may explain it."""
    sizes = f"{counted(compared.cells, 'cell')}, {counted(compared.claims, 'claim')}"
    for sentence in compared.differences[:MOST]:
        print(sentence)
    if (more := len(compared.differences) - MOST) > 0:
        print(f"and {more:,} more")
    if compared.differences:
        print(f"different: {counted(len(compared.differences), 'difference')} in {sizes}")
        for reason in compared.reasons or ("nothing that a report records explains it",):
            print(f"  {reason}")
    else:
        print(f"equal to the bit: keys, values and intervals of {sizes}")
        for reason in compared.reasons:
            print(f"  although {reason}")
    lacking = {"cell": compared.lacking_cells, "claim": compared.lacking_claims}
    if parts := [counted(number, noun) for noun, number in lacking.items() if number]:
        print(f"not compared: {' and '.join(parts)} that the report lacks")
