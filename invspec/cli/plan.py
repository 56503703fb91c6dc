"""`invspec plan`: how many tasks of a spec are done, and how long the rest will take."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from invspec.cli import options
from invspec.cli.options import AS_WRITTEN, DEFAULT_STORE, Data, Selection, SpecName, StoreOption
from invspec.errors import counted

if TYPE_CHECKING:
    from rich.table import Table

    from invspec.analysis.forecast import Forecast
    from invspec.execution.store import Store
    from invspec.plan.cells import Plan
    from invspec.tasks import Task

# a row of the table: verb, method, model
Kind = tuple[str, str, str]


@options.selecting
def plan(
    spec: SpecName,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    selection: Selection = AS_WRITTEN,
) -> None:
    """Show how many tasks of a spec are done, and estimate the time for the rest."""
    options.set_data(data)
    # before the first run nothing is done; a folder that is named must be there
    finished = options.store_at(store, create=store == DEFAULT_STORE)
    show(options.planned(spec, selection, finished), finished)


def show(planned: Plan, store: Store) -> None:
    """Print how many tasks of each kind are done, and how long the rest will take."""
    from rich.console import Console

    from invspec.analysis.forecast import forecast
    from invspec.cli import hours
    from invspec.execution.choices import Choices
    from invspec.execution.survey import Survey
    from invspec.plan import coordinates

    survey = Survey(store)
    for goal in planned.goals:
        survey.visit(goal)
    survey.settle()
    finished = [task for task in planned.tasks if task in store]
    expected = forecast(survey.to_do, finished, store, with_shipped=True)
    console = Console(highlight=False)
    console.print(_table(planned, finished, expected))
    console.print(f"coordinates: {coordinates.listing(planned.coordinates())}")
    tasks = f"{len(survey.to_do):,} of {counted(len(planned.tasks), 'task')}"
    console.print(f"{tasks} to do for {counted(len(planned.cells), 'cell')}")
    if survey.unsure:
        count = f"{len(survey.unsure):,} more if an input, which is to do, comes out changed"
        console.print(count)
    for line in (*hours.lines(expected), *_threads(planned)):
        console.print(line)
    for sentence in Choices(store.root).sentences(planned.answers):
        print(sentence)


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


def _table(planned: Plan, finished: list[Task], expected: Forecast) -> Table:
    """A row for each kind of task: how many are done, and the time left on each device."""
    from rich.table import Table

    from invspec.cli import hours

    by_kind: dict[Kind, list[Task]] = defaultdict(list)
    for task in planned.tasks:
        by_kind[_kind(task)].append(task)
    intact = {task for task in finished if task not in expected.works}
    headings = ("task", "method", "model", "all", "done", *hours.headings(expected))
    table = Table(*headings, box=None, pad_edge=False)
    for kind, tasks in by_kind.items():
        to_come = [task for task in tasks if task in expected.works]
        done = sum(task in intact for task in tasks)
        table.add_row(*kind, str(len(tasks)), str(done), *hours.cells(expected, to_come))
    return table


def _kind(task: Task) -> Kind:
    from invspec.tasks import Examine, Perturb, Score, Train

    match task:
        case Train():
            return "train", type(task.defence).__name__, type(task.model).__name__
        case Perturb():
            return "perturb", type(task.attack).__name__, type(task.train.model).__name__
        case Score():
            return "score", type(task.measure).__name__, ""
        case Examine():
            return "examine", type(task.check).__name__, type(task.train.model).__name__
