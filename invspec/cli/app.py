"""The command line: parse, call, print, exit.

Nothing heavy is imported before it is needed: help, completion and `list` answer without torch.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invspec import __version__
from invspec.errors import InvspecError, SpecError

if TYPE_CHECKING:
    from invspec.execution.store import Store
    from invspec.plan.cells import Plan

app = typer.Typer(
    help="Is this classifier too sensitive, too invariant, or both?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
kept = typer.Typer(
    help="What is kept, whether it is whole, and what no spec needs any more.", no_args_is_help=True
)
app.add_typer(kept, name="store")


class Format(StrEnum):
    """How a report is written."""

    rich = "rich"
    csv = "csv"
    json = "json"
    latex = "latex"
    html = "html"


class Columns(StrEnum):
    """How samples are written."""

    parquet = "parquet"
    csv = "csv"


SpecName = Annotated[
    str, typer.Argument(help="a spec's path, or the name of one that ships with invspec")
]
StoreOption = Annotated[
    Path, typer.Option("--store", envvar="INVSPEC_STORE", help="where finished work is kept")
]
Scale = Annotated[str | None, typer.Option("--scale", help="one of the spec's scales")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="a.b=value, laid over the spec; repeat for more")
]
Smoke = Annotated[bool, typer.Option("--smoke", help="fake data, 8 examples, one epoch, two steps")]
Registry = Annotated[
    list[Path] | None, typer.Option("--registry", help="a folder of your own cards and classes")
]
DEFAULT_STORE = Path("store")


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 something failed, 2 bad spec or option, 130 interrupted."""
    try:
        try:
            app(arguments)
        finally:
            sys.stdout.flush()  # here, where it can be caught that nobody reads it
    except InvspecError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@app.callback(invoke_without_command=True)
def about(  # noqa: D103  # a docstring would replace the text of --help
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def run(
    spec: SpecName,
    devices: Annotated[
        str | None, typer.Option(help="cuda:0,cuda:1 or cpu,cpu: one worker each")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="CPU workers, one thread each (default: cores)")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="examples an attack gets at once")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="data folder (default: INVSPEC_DATA)")] = None,
    store: StoreOption = DEFAULT_STORE,
    scale: Scale = None,
    set: Set = None,
    smoke: Smoke = False,
    registry: Registry = None,
) -> None:
    """Run what is missing, with live progress, then report."""
    if data is not None:
        os.environ["INVSPEC_DATA"] = str(data.resolve())
    if devices is not None and workers is not None:
        raise SpecError(
            "given beside --devices", where="--workers", hint="--devices cpu,cpu is two CPU workers"
        )
    try:
        from invspec.cli import session

        planned = _plan(spec, scale, set, smoke, registry)
        failed = session.run(planned, _store(store, create=True), devices, workers, batch_size)
        session.remember(_store(store), spec, scale, set, smoke, registry)
        _show(planned, _store(store), Format.rich, None)
    except KeyboardInterrupt:
        print(
            "interrupted; what was finished is kept, and the same command goes on from there",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    raise typer.Exit(1 if failed else 0)


@app.command()
def report(
    spec: Annotated[
        str | None, typer.Argument(help="a spec (default: that of the last run)")
    ] = None,
    format: Annotated[Format, typer.Option(help="how to write it")] = Format.rich,
    output: Annotated[Path | None, typer.Option(help="folder to write to")] = None,
    store: StoreOption = DEFAULT_STORE,
    scale: Scale = None,
    set: Set = None,
    smoke: Smoke = False,
    registry: Registry = None,
) -> None:
    """Tables, figures and verdicts from what the store has; a number that is missing reads as a dot."""
    from invspec.cli import session

    kept = _store(store)
    if spec is None:
        spec, scale, set, smoke, registry = session.recall(kept)
    _show(_plan(spec, scale, set, smoke, registry), kept, format, output)


@app.command()
def validate(
    specs: Annotated[list[str], typer.Argument(help="specs, by path or by name")],
    scale: Scale = None,
    set: Set = None,
    smoke: Smoke = False,
    registry: Registry = None,
) -> None:
    """Check specs in all their scales: names, parameters, models against data, claims, layouts; count the work."""
    from invspec.cli import session

    for spec in specs:
        planned = _plan(spec, scale, set, smoke, registry)
        session.check(planned)
        for other in () if scale else planned.spec.scales:
            session.check(_plan(spec, other, set, smoke, registry))
        counts = {"cell": planned.cells, "task": planned.tasks, "claim": planned.spec.claims}
        words = [
            f"{len(found):,} {noun}{'' if len(found) == 1 else 's'}"
            for noun, found in counts.items()
        ]
        print(f"{spec}: {', '.join(words)}")


@app.command()
def plan(
    spec: SpecName,
    store: StoreOption = DEFAULT_STORE,
    scale: Scale = None,
    set: Set = None,
    smoke: Smoke = False,
    registry: Registry = None,
) -> None:
    """The tasks of a spec: which are done, and what the rest will cost."""
    from invspec.cli import listing

    listing.plan(_plan(spec, scale, set, smoke, registry), _store(store))


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="dataset, model, defence, attack or measure")
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help="one method: its fields, defaults, paper, an example")
    ] = None,
    registry: Registry = None,
) -> None:
    """Show the registry."""
    from invspec.cli import catalogue
    from invspec.registry import cards

    for folder in registry or ():
        cards.add(folder)
    catalogue.show(kind, name)


@app.command()
def schema() -> None:
    """JSON Schema of a spec, for completion in editors."""
    from invspec.spec import json_schema

    print(json_schema.text())


@app.command()
def samples(
    spec: SpecName,
    format: Annotated[Columns, typer.Option(help="parquet or csv")] = Columns.parquet,
    output: Annotated[
        Path | None, typer.Option(help="file to write (default: <spec>.parquet or .csv here)")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    scale: Scale = None,
    set: Set = None,
    smoke: Smoke = False,
    registry: Registry = None,
) -> None:
    """Write every example of every cell, one row each: what became of it and what it cost."""
    from invspec.report import samples as table

    planned = _plan(spec, scale, set, smoke, registry)
    path = output or Path(f"{planned.spec.name}.{format.value}")
    count = table.write(planned, _store(store), path, format.value)
    print(f"{path}: {count:,} rows")


@kept.command("ls")
def ls(store: StoreOption = DEFAULT_STORE) -> None:
    """What is kept, by kind of task."""
    from invspec.cli import listing

    listing.kept(_store(store))


@kept.command()
def verify(store: StoreOption = DEFAULT_STORE) -> None:
    """Hash every payload again; set aside what is not what was written."""
    from invspec.cli import listing

    raise typer.Exit(1 if listing.verify(_store(store)) else 0)


@kept.command()
def gc(
    specs: Annotated[
        list[str], typer.Argument(help="the specs whose work is to be kept, in every scale")
    ],
    store: StoreOption = DEFAULT_STORE,
    yes: Annotated[
        bool, typer.Option("--yes", help="delete; without it, only say what would go")
    ] = False,
    registry: Registry = None,
) -> None:
    """Delete what none of these specs needs."""
    from invspec.cli import listing
    from invspec.registry import cards

    for folder in registry or ():
        cards.add(folder)
    listing.collect(specs, _store(store), yes)


def _plan(
    spec: str,
    scale: str | None,
    settings: list[str] | None,
    smoke: bool,
    registry: list[Path] | None,
) -> Plan:
    from invspec.plan import planner
    from invspec.registry import cards
    from invspec.spec import overlay

    for folder in registry or ():
        cards.add(folder)
    read = overlay.load(overlay.find(spec), scale, settings or ())
    return planner.plan(read.smoke() if smoke else read)


def _store(root: Path, create: bool = False) -> Store:
    from invspec.execution.store import Store

    if root.exists() and not root.is_dir():
        raise SpecError(f"{root} is not a folder", where="--store")
    if not root.exists() and not create:
        raise SpecError(f"no folder {root}", where="--store", hint="invspec run makes it")
    return Store(root.resolve())


def _show(planned: Plan, store: Store, format: Format, output: Path | None) -> None:
    from invspec.cli import session

    session.show(planned, store, format.value, output)
