"""`invspec store`: what is kept, whether it is intact, and what no spec needs any more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from invspec.cli import options
from invspec.cli.options import DEFAULT_STORE, Registry, StoreOption

if TYPE_CHECKING:
    from invspec.execution.store import Store
    from invspec.plan.planner import Plan

app = typer.Typer(
    help="What is kept, whether it is intact, and what no spec needs any more.",
    no_args_is_help=True,
)


@app.command("ls")
def ls(store: StoreOption = DEFAULT_STORE) -> None:
    """List what is kept, by kind of task."""
    show_sizes(options.store_at(store))


def show_sizes(store: Store) -> None:
    """Print how many tasks of each kind are kept, and their size on disk."""
    from rich.console import Console
    from rich.table import Table

    from invspec.execution.store import VERBS

    sizes: dict[str, list[int]] = {verb: [] for verb in VERBS}
    for verb, folder in store.folders():
        sizes[verb].append(sum(path.stat().st_size for path in folder.iterdir()))
    table = Table("task", "kept", "MB", box=None, pad_edge=False)
    for verb, bytes_kept in sizes.items():
        table.add_row(verb, f"{len(bytes_kept):,}", f"{sum(bytes_kept) / 1e6:,.1f}")
    Console(highlight=False).print(table)


@app.command()
def verify(store: StoreOption = DEFAULT_STORE) -> None:
    """Hash every payload again; move damaged artifacts aside."""
    raise typer.Exit(1 if count_damaged(options.store_at(store)) else 0)


def count_damaged(store: Store) -> int:
    """Check every artifact, name those that are damaged and move them aside. Returns their number."""
    from invspec.execution.store import flaws

    intact = damaged = 0
    for verb, folder in store.folders():
        if problems := flaws(folder):
            damaged += 1
            aside = store.set_aside(folder)
            print(f"damaged: {verb} {folder.name}: {', '.join(problems)}; moved to {aside}")
        else:
            intact += 1
    hint = "; the next run recomputes them" if damaged else ""
    print(f"{intact:,} intact, {damaged:,} damaged{hint}")
    return damaged


@app.command()
def gc(
    specs: Annotated[list[str], typer.Argument(help="specs whose work is kept, in every scale")],
    store: StoreOption = DEFAULT_STORE,
    yes: Annotated[
        bool, typer.Option("--yes", help="delete; without it, only list what would be deleted")
    ] = False,
    registry: Registry = None,
) -> None:
    """Delete finished tasks that none of these specs needs."""
    from invspec.execution.store import unneeded

    options.add_registries(registry)
    finished = options.store_at(store)
    wanted = {task for spec in specs for plan in _scales(spec) for task in plan.tasks}
    folders = unneeded(finished, wanted)
    size = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
    for folder in folders:
        if yes:
            shutil.rmtree(folder)
        else:
            print(f"{folder.parents[1].name} {folder.name}")
    fate = "deleted" if yes else "not needed (--yes deletes them)"
    needed = sum(task in finished for task in wanted)
    print(f"{len(folders):,} tasks, {size / 1e6:,.1f} MB {fate}; {needed:,} kept")


def _scales(name: str) -> Iterator[Plan]:
    """The plans of a spec at its own scale and at each of the others."""
    from invspec.plan import planner
    from invspec.spec import overlay

    path = overlay.find(name)
    spec = overlay.load(path)
    yield planner.plan(spec)
    for scale in spec.scales:
        yield planner.plan(overlay.load(path, scale))
