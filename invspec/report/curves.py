"""How trainings went, as tables of a curve a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from invspec.analysis.readings import Number, Store
from invspec.plan import coordinates
from invspec.plan.cells import Cell, Plan
from invspec.report.table import Labels, Line, Table, heading
from invspec.spec.schema import Coords, FigureKind
from invspec.tasks import Train

TRAINED = ("dataset", "model", "defence")


def tables(planned: Plan, store: Store) -> Iterator[Table]:
    """How the trainings of the plan went: for those alike in their labels, a table a curve, beside each other."""
    found: dict[Labels, dict[Train, Coords]] = {}
    for cell in planned.cells:
        coords = {
            name: at for name, at in cell.coords.items() if name.split(".")[0] in _of_training(cell)
        }
        found.setdefault(tuple(cell.coords[part] for part in TRAINED), {})[cell.goal.train] = coords
    for labels, trained in found.items():
        curves = {train: store.load(train).curves or {} for train in trained if train in store}
        title = f"Training {labels[1]} on {labels[0]}: {labels[2]}"
        names = dict.fromkeys(name for own in curves.values() for name in own)
        for place, name in enumerate(names):
            kept = [(trained[train], own[name]) for train, own in curves.items() if name in own]
            yield _curve(planned, title, name, kept, "beside" if place else "profile")


def _of_training(cell: Cell) -> set[str]:
    """The leading words of the coordinates that tell trainings apart: labels of what is trained, and seed."""
    return {"seed", *(str(cell.coords[part]) for part in TRAINED)}


def _curve(
    planned: Plan,
    title: str,
    name: str,
    kept: Sequence[tuple[Coords, Sequence[float]]],
    figure: FigureKind,
) -> Table:
    """One curve of some trainings, a line for those that differ in nothing but their seed."""
    rows = (
        tuple(varying)
        if (varying := coordinates.varying((coords for coords, _ in kept), but=("seed",)))
        else ()
    )
    alike: dict[Labels, list[Sequence[float]]] = {}
    for coords, numbers in kept:
        alike.setdefault(tuple(coords.get(row) for row in rows), []).append(numbers)
    epochs = max(len(numbers) for _, numbers in kept)
    return Table(
        title=title,
        about="of what was learnt from, augmented and attacked as it was, averaged over an epoch",
        measure=name,
        rows=rows,
        columns="epoch",
        across=tuple(range(1, epochs + 1)),
        lines=tuple(Line(labels, tuple(_spread(runs, epochs))) for labels, runs in alike.items()),
        headings={row: heading(planned.spec, row) for row in rows} | {"epoch": "epoch"},
        fixed={},
        figure=figure,
        remark="bands reach from the least to the greatest seed",
    )


def _spread(runs: Sequence[Sequence[float]], epochs: int) -> Iterator[Number | None]:
    """At each epoch the mean over runs, and the least and greatest of them; None behind the end."""
    for epoch in range(epochs):
        at = [run[epoch] for run in runs if epoch < len(run)]
        yield Number(sum(at) / len(at), min(at), max(at), 0, len(at), len(runs)) if at else None
