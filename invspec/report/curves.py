"""Training curves as tables: columns are epochs, each row is a curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from invspec.analysis.estimator import Summary
from invspec.analysis.readings import Artifacts
from invspec.plan import coordinates
from invspec.plan.cells import Cell, Plan
from invspec.report import units
from invspec.report.table import Line, RowLabels, Table
from invspec.spec.schema import Coords, FigureKind
from invspec.tasks import Train

TRAINED = ("dataset", "model", "defence")
SUMMARY = "measured on the training batches (augmented, attacked), averaged over each epoch"
REMARK = "bands reach from the lowest to the highest seed"


def tables(plan: Plan, store: Artifacts) -> Iterator[Table]:
    """The training curves of a plan, for each data set, model and defence.

    Each quantity (loss, accuracy, ...) has a table; those of one training are drawn side by side.
    """
    groups: dict[RowLabels, dict[Train, Coords]] = {}
    for cell in plan.cells:
        labels = tuple(cell.coords[part] for part in TRAINED)
        groups.setdefault(labels, {})[cell.goal.train] = _training_coords(cell)
    for (dataset, model, defence), trainings in groups.items():
        curves = {train: store.load(train).curves or {} for train in trainings if train in store}
        title = f"Training {model} on {dataset}: {defence}"
        names = dict.fromkeys(name for quantities in curves.values() for name in quantities)
        for position, name in enumerate(names):
            runs = [
                (trainings[train], quantities[name])
                for train, quantities in curves.items()
                if name in quantities
            ]
            yield _table(plan, title, name, runs, "beside" if position else "profile")


def net_coordinates(cell: Cell) -> Coords:
    """The coordinates of a cell's net: its labels, swept fields and seed."""
    return {**{part: cell.coords[part] for part in TRAINED}, **_training_coords(cell)}


def _training_coords(cell: Cell) -> Coords:
    """The coordinates that distinguish trainings: swept fields of what is trained, and the seed."""
    prefixes = {"seed", *(str(cell.coords[part]) for part in TRAINED)}
    return {name: value for name, value in cell.coords.items() if name.split(".")[0] in prefixes}


def _table(
    plan: Plan,
    title: str,
    name: str,
    runs: Sequence[tuple[Coords, Sequence[float]]],
    figure: FigureKind,
) -> Table:
    """One quantity of some trainings, with one line for those that differ only in their seed."""
    rows = tuple(coordinates.varying((coords for coords, _ in runs), but=("seed",)))
    curves: dict[RowLabels, list[Sequence[float]]] = {}
    for coords, curve in runs:
        curves.setdefault(tuple(coords.get(row) for row in rows), []).append(curve)
    epochs = max(len(curve) for _, curve in runs)
    return Table(
        title=title,
        summary=SUMMARY,
        measure=name,
        rows=rows,
        columns="epoch",
        column_values=tuple(range(1, epochs + 1)),
        lines=tuple(Line(labels, tuple(_range(seeds, epochs))) for labels, seeds in curves.items()),
        headings={row: units.heading(plan.spec, row) for row in rows} | {"epoch": "epoch"},
        fixed={},
        figure=figure,
        remark=REMARK,
    )


def _range(seeds: Sequence[Sequence[float]], epochs: int) -> Iterator[Summary | None]:
    """At each epoch the mean over seeds, the lowest and the highest; None after the last epoch."""
    for epoch in range(epochs):
        values = [curve[epoch] for curve in seeds if epoch < len(curve)]
        mean = sum(values) / len(values) if values else 0.0
        count, expected = len(values), len(seeds)
        yield Summary(mean, min(values), max(values), 0, count, expected) if values else None
