"""`invspec store`: list stored results, verify them, delete those that no spec needs."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated

import typer

from invspec.cli import completion, options
from invspec.cli.options import DEFAULT_STORE, Data, Registry, Set, StoreOption
from invspec.errors import SpecError, counted

if TYPE_CHECKING:
    from invspec.execution.store import Store
    from invspec.plan.cells import Plan

OUTCOMES = {"agrees": "agree", "differs": "differ", "not judged": "not judged"}

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
        print(f"{holder} has claimed {counted(number, 'task')}")


@app.command()
def verify(
    rejudge: Annotated[
        bool, typer.Option("--rejudge", help="compute rows and judged columns again")
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="with --rejudge: this many tasks of each kind, drawn at random"),
    ] = None,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    registry: Registry = None,
) -> None:
    """Compare every artifact with its digests; move damaged ones aside."""
    if sample is not None and not rejudge:
        raise SpecError("needs --rejudge", where="--sample")
    options.set_data(data)
    options.add_registries(registry)
    finished = options.store_at(store)
    wrong = count_damaged(finished)
    if rejudge:
        wrong += count_different(finished, sample)
    raise typer.Exit(1 if wrong else 0)


def count_different(store: Store, sample: int | None) -> int:
    """Judge artifacts again; name those that differ, and stay. Returns their number."""
    import torch

    from invspec.execution.devices import devices
    from invspec.execution.rejudge import Judge

    judge = Judge(store, torch.device(devices(None, workers=1)[0]))
    counts, unjudged = Counter[str](), Counter[str]()
    for judgement in judge.judged(_drawn(store, sample)):
        counts[judgement.outcome] += 1
        if judgement.outcome == "differs":
            print(f"differs: {judgement.kind} {judgement.key}: {'; '.join(judgement.reasons)}")
        elif judgement.outcome == "not judged":
            unjudged[f"{judgement.kind}: {'; '.join(judgement.reasons)}"] += 1
    for reason, number in unjudged.items():
        print(f"not judged: {number:,} {reason}")
    words = (f"{counts[outcome]:,} {word}" for outcome, word in OUTCOMES.items())
    hint = "; `invspec reproduce` tells which numbers are right" if counts["differs"] else ""
    print(f"judged again: {', '.join(words)}{hint}")
    return counts["differs"]


def _drawn(store: Store, sample: int | None) -> list[tuple[str, Path]]:
    """All artifacts, or some of each kind, which nobody can foresee."""
    folders = list(store.folders())
    if sample is None:
        return folders
    drawn = SystemRandom().sample(folders, len(folders))
    chosen: list[tuple[str, Path]] = []
    taken: Counter[str] = Counter()
    for verb, folder in drawn:
        if taken[verb] < sample:
            taken[verb] += 1
            chosen.append((verb, folder))
    return sorted(chosen)


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
    specs: Annotated[
        list[str],
        typer.Argument(
            help="specs whose tasks are kept, in every scale, as written and by --set",
            autocompletion=completion.specs,
        ),
    ],
    set: Set = None,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    yes: Annotated[
        bool, typer.Option("--yes", help="delete; without it, only say what would be deleted")
    ] = False,
    registry: Registry = None,
) -> None:
    """Delete stored tasks that neither these specs need nor a task that a run computes now."""
    from invspec.cli import garbage
    from invspec.execution.store import unneeded

    options.set_data(data)
    options.add_registries(registry)
    finished = options.store_at(store)
    needed_tasks = {
        task for spec in specs for plan in _scales(spec, set, finished) for task in plan.tasks
    }
    folders = unneeded(finished, needed_tasks)
    size = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
    if not yes:
        for line in garbage.lines(finished, folders):
            print(line)
    for folder in folders if yes else ():
        shutil.rmtree(folder)
    fate = "deleted" if yes else "would be deleted (--yes deletes them)"
    needed = sum(task in finished for task in needed_tasks)
    print(f"{counted(len(folders), 'task')}, {size / 1e6:,.1f} MB {fate}; {needed:,} kept")


def _scales(name: str, settings: list[str] | None, store: Store) -> Iterator[Plan]:
    """The plans of a spec at its own scale and at each of the others; also with the settings."""
    from invspec.plan import planner
    from invspec.spec import overlay

    path, answer = overlay.find(name), options.answers(store)
    chosen = [(), settings] if settings else [()]
    for scale in (None, *overlay.load(path).scales):
        for own in chosen:
            yield planner.plan(overlay.load(path, scale, own), answer)
