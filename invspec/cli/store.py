"""`invspec store`: list stored results, verify them, delete those that no spec needs."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from invspec.cli import options
from invspec.cli.options import DEFAULT_STORE, Registry, StoreOption

if TYPE_CHECKING:
    from invspec.execution.store import Store
    from invspec.plan.cells import Plan

app = typer.Typer(
    help="List stored results, verify them, delete those that no spec needs.",
    no_args_is_help=True,
)


@app.command("ls")
def ls(store: StoreOption = DEFAULT_STORE) -> None:
    """Count stored tasks and megabytes, by kind of task, and the tasks that runs compute."""
    show_sizes(options.store_at(store))


def show_sizes(store: Store) -> None:
    """Print the number of stored tasks of each kind, and their size on disk."""
    from rich.console import Console
    from rich.table import Table

    from invspec.execution.store import VERBS

    sizes: dict[str, list[int]] = {verb: [] for verb in VERBS}
    for verb, folder in store.folders():
        sizes[verb].append(sum(path.stat().st_size for path in folder.iterdir()))
    table = Table("task", "number", "MB", box=None, pad_edge=False)
    for verb, folder_sizes in sizes.items():
        table.add_row(verb, f"{len(folder_sizes):,}", f"{sum(folder_sizes) / 1e6:,.1f}")
    Console(highlight=False).print(table)
    holders = Counter(lease.holder for lease in store.leases())
    for holder, number in holders.items():
        print(f"{holder} has claimed {number:,} tasks")


@app.command()
def verify(store: StoreOption = DEFAULT_STORE) -> None:
    """Compare every artifact with its digests; move damaged ones aside."""
    raise typer.Exit(1 if count_damaged(options.store_at(store)) else 0)


def count_damaged(store: Store) -> int:
    """Check every artifact; name and move those that are damaged. Returns their number."""
    from invspec.execution.provenance import flaws

    intact = damaged = 0
    for verb, folder in store.folders():
        if problems := flaws(folder):
            damaged += 1
            target = store.move_aside(folder)
            print(f"damaged: {verb} {folder.name}: {', '.join(problems)}; moved to {target}")
        else:
            intact += 1
    hint = "; the next run recomputes them" if damaged else ""
    print(f"{intact:,} intact, {damaged:,} damaged{hint}")
    return damaged


@app.command()
def gc(
    specs: Annotated[list[str], typer.Argument(help="specs whose tasks are kept, in every scale")],
    store: StoreOption = DEFAULT_STORE,
    yes: Annotated[
        bool, typer.Option("--yes", help="delete; without it, only list what would be deleted")
    ] = False,
    registry: Registry = None,
) -> None:
    """Delete stored tasks that neither these specs need nor a task that a run computes now."""
    from invspec.execution.store import unneeded

    options.add_registries(registry)
    finished = options.store_at(store)
    needed_tasks = {
        task for spec in specs for plan in _scales(spec, finished) for task in plan.tasks
    }
    folders = unneeded(finished, needed_tasks)
    size = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
    for folder in folders:
        if yes:
            shutil.rmtree(folder)
        else:
            print(f"{folder.parents[1].name} {folder.name}")
    fate = "deleted" if yes else "not needed (--yes deletes them)"
    needed = sum(task in finished for task in needed_tasks)
    print(f"{len(folders):,} tasks, {size / 1e6:,.1f} MB {fate}; {needed:,} kept")


def _scales(name: str, store: Store) -> Iterator[Plan]:
    """The plans of a spec at its own scale and at each of the others."""
    from invspec.plan import planner
    from invspec.spec import overlay

    path = overlay.find(name)
    spec, answer = overlay.load(path), options.answers(store)
    yield planner.plan(spec, answer)
    for scale in spec.scales:
        yield planner.plan(overlay.load(path, scale), answer)
