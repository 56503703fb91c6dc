"""`invspec plan`: how many tasks of a spec are done, and how long the rest will take."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from invspec.cli import options
from invspec.cli.options import DEFAULT_STORE, Registry, Scale, Set, Smoke, SpecName, StoreOption

if TYPE_CHECKING:
    from rich.table import Table

    from invspec.execution.store import Store
    from invspec.execution.survey import Survey
    from invspec.plan.cells import Plan
    from invspec.tasks import Task

# a row of the table: verb, method, model
Kind = tuple[str, str, str]


def plan(
    spec: SpecName,
    store: StoreOption = DEFAULT_STORE,
    scale: Scale = None,
    set: Set = None,
    smoke: Smoke = False,
    registry: Registry = None,
) -> None:
    """Show how many tasks of a spec are done, and estimate the time for the rest."""
    show(options.planned(spec, scale, set, smoke, registry), options.store_at(store))


def show(planned: Plan, store: Store) -> None:
    """Print how many tasks of each kind are done, and how long the rest will take."""
    from rich.console import Console

    from invspec.execution.survey import Survey

    survey = Survey(store)
    for cell in planned.cells:
        survey.visit(cell.goal)
    console = Console(highlight=False)
    console.print(_table(planned, store, survey))
    tasks = f"{len(survey.to_do):,} of {len(planned.tasks):,} tasks"
    console.print(f"{tasks} to do for {len(planned.cells):,} cells")
    for line in _threads(planned):
        console.print(line)


def _threads(planned: Plan) -> list[str]:
    """A line for each number of threads, other than one, that trainings ask for."""
    from collections import Counter

    from invspec.execution.threads import own_threads

    numbers = Counter(map(own_threads, planned.tasks))
    return [
        f"trainings on {threads} threads, which is in their keys: {count:,}"
        for threads, count in sorted(numbers.items())
        if threads != 1
    ]


def _table(planned: Plan, store: Store, survey: Survey) -> Table:
    """A row for each kind of task. The time left is estimated from the finished tasks."""
    from rich.table import Table

    by_kind: dict[Kind, list[Task]] = defaultdict(list)
    for task in planned.tasks:
        by_kind[_kind(task)].append(task)
    headings = ("task", "method", "model", "all", "done", "seconds per task", "time left")
    table = Table(*headings, box=None, pad_edge=False)
    for kind, tasks in by_kind.items():
        done = [task for task in tasks if task in store and task not in survey.to_do]
        to_come = sum(task in survey.to_do for task in tasks)
        table.add_row(*kind, str(len(tasks)), str(len(done)), *_cost(done, to_come, store))
    return table


def _cost(done: list[Task], to_come: int, store: Store) -> tuple[str, str]:
    """Median seconds per task, and the time left; "?" if no task is finished."""
    if not done:
        return "?", "?" if to_come else "-"
    # imported here, because it would slow every command
    import statistics

    from invspec.report.format import duration

    seconds = statistics.median([store.made(task)["seconds"] for task in done])
    return f"{seconds:.1f}", duration(seconds * to_come) if to_come else "-"


def _kind(task: Task) -> Kind:
    from invspec.tasks import Perturb, Score, Train

    match task:
        case Train():
            return "train", type(task.defence).__name__, type(task.model).__name__
        case Perturb():
            return "perturb", type(task.attack).__name__, type(task.train.model).__name__
        case Score():
            return "score", type(task.measure).__name__, ""
