"""What is to do and what is kept, for people: `invspec plan` and `invspec store`."""

from __future__ import annotations

import shutil
import statistics
from collections import defaultdict
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from invspec.execution.store import VERBS, Store, flaws, unneeded
from invspec.execution.walk import Survey
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.spec import overlay
from invspec.tasks import Perturb, Score, Task, Train

Kind = tuple[str, ...]


def plan(planned: Plan, store: Store) -> None:
    """Print how many tasks of each kind are done, and what the others will cost, judged by those that are."""
    survey = Survey()
    for cell in planned.cells:
        survey.visit(cell.goal, store)
    rows: dict[Kind, list[Task]] = defaultdict(list)
    for task in planned.tasks:
        rows[_kind(task)].append(task)
    table = Table(
        "task", "of", "on", "all", "done", "seconds each", "to come", box=None, pad_edge=False
    )
    for kind, alike in rows.items():
        done = [task for task in alike if task in store and task not in survey.damaged]
        left = sum(task in survey.to_do for task in alike)
        each = statistics.median([store.made(task)["seconds"] for task in done]) if done else None
        cost = ("?", "?") if each is None else (f"{each:.1f}", duration(each * left))
        table.add_row(*kind, str(len(alike)), str(len(done)), cost[0], cost[1] if left else "-")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{len(survey.to_do):,} of {len(planned.tasks):,} tasks to do for {len(planned.cells):,} cells"
    )


def _kind(task: Task) -> Kind:
    match task:
        case Train():
            return ("train", type(task.defence).__name__, type(task.model).__name__)
        case Perturb():
            return ("perturb", type(task.attack).__name__, type(task.train.model).__name__)
        case Score():
            return ("score", type(task.measure).__name__, "")


def duration(seconds: float) -> str:
    """90 -> 1.5 min."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def kept(store: Store) -> None:
    """Print how much is kept of each kind."""
    sizes: dict[str, list[int]] = {name: [] for name in VERBS}
    for name, folder in store.folders():
        sizes[name].append(sum(path.stat().st_size for path in folder.iterdir()))
    table = Table("task", "kept", "MB", box=None, pad_edge=False)
    for name, each in sizes.items():
        table.add_row(name, f"{len(each):,}", f"{sum(each) / 1e6:,.1f}")
    Console(highlight=False).print(table)


def verify(store: Store) -> int:
    """Hash everything; name and set aside what is damaged. Gives its number."""
    damaged = whole = 0
    for name, folder in store.folders():
        if found := flaws(folder):
            damaged += 1
            print(
                f"damaged: {name} {folder.name}: {', '.join(found)}; set aside as {store.set_aside(folder)}"
            )
        else:
            whole += 1
    print(
        f"{whole:,} whole, {damaged:,} damaged"
        + ("; the next run computes them again" if damaged else "")
    )
    return damaged


def collect(specs: list[str], store: Store, delete: bool) -> None:
    """Print, or delete, what no scale of these specs needs."""
    wanted = {task for name in specs for planned in _scales(name) for task in planned.tasks}
    folders = unneeded(store, wanted)
    size = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
    for folder in folders:
        if delete:
            shutil.rmtree(folder)
        else:
            print(f"{folder.parents[1].name} {folder.name}")
    done = "deleted" if delete else "not needed (--yes deletes them)"
    print(
        f"{len(folders):,} tasks, {size / 1e6:,.1f} MB {done}; {sum(task in store for task in wanted):,} kept"
    )


def _scales(name: str) -> Iterator[Plan]:
    path = overlay.find(name)
    whole = overlay.load(path)
    yield planner.plan(whole)
    for scale in whole.scales:
        yield planner.plan(overlay.load(path, scale))
