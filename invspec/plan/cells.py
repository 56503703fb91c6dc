"""The values of a plan: cells, one per number in the report, and the tasks behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from invspec.kinds import Precision
from invspec.plan.precisions import Question
from invspec.spec.resolved import Spec
from invspec.spec.schema import Scalar
from invspec.tasks import Perturb, Score, Task, needs


@dataclass(frozen=True)
class Attacked:
    """An attack that a cell is of: its label, and the coordinates of its variant."""

    label: str
    coords: Mapping[str, Scalar]


@dataclass(frozen=True)
class Cell:
    """One number of the report and the task that computes it.

    coords holds labels and swept values, like {"model": "gcnn", "pgd.eps": 0.1, "seed": 0}. attacks
    are those that the goal is of.
    """

    coords: Mapping[str, Scalar]
    goal: Score
    attacks: tuple[Attacked, ...]


@dataclass(frozen=True)
class Plan:
    """A spec and all of its cells.

    answers are the precisions of its tasks where the spec says auto.
    """

    spec: Spec
    cells: tuple[Cell, ...]
    answers: Mapping[Question, Precision] = field(default_factory=dict[Question, Precision])

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Every task that the cells need, once each, dependencies first."""
        ordered: dict[Task, None] = {}
        for cell in self.cells:
            _collect(cell.goal, ordered)
        return tuple(ordered)

    @cached_property
    def names(self) -> dict[Task, str]:
        """Every task in the words of the spec: train stdcnn, rotations max_degrees 180, seed 0.

        With several data sets each name has its own: train stdcnn (mnist), ...
        """
        names: dict[Task, str] = {}
        datasets = {_words(cell, cell.coords["dataset"]) for cell in self.cells}
        for cell in self.cells:
            for task, name in _named(cell, self.spec, with_dataset=len(datasets) > 1):
                names.setdefault(task, name)
        return names

    def coordinates(self, measure: str | None = None) -> dict[str, list[Scalar]]:
        """All coordinates of a measure's cells with their values, in the order of the spec.

        Without a measure, those of all cells.
        """
        values: dict[str, dict[Scalar, None]] = {}
        for cell in self.cells:
            if measure is None or cell.coords["measure"] == measure:
                for name, value in cell.coords.items():
                    values.setdefault(name, {})[value] = None
        return {name: list(ordered) for name, ordered in values.items()}


def _collect(task: Task, ordered: dict[Task, None]) -> None:
    if task not in ordered:
        for need in needs(task):
            _collect(need, ordered)
        ordered[task] = None


def _named(cell: Cell, spec: Spec, with_dataset: bool) -> Iterator[tuple[Task, str]]:
    """The tasks of a cell with their names."""
    seed = f"seed {cell.goal.train.seed}"
    parts = ("dataset", "model", "defence")
    dataset, model, defence = (_words(cell, cell.coords[part]) for part in parts)
    data = f" ({dataset})" if with_dataset else ""
    trained = f"{model}{data}, {defence}, {seed}"
    yield cell.goal.train, f"train {trained}"
    for attack, parts in zip(cell.attacks, cell.goal.of, strict=True):
        words, source = _words(attack, attack.label), spec.entries["attacks"][attack.label].source
        for part in parts:
            if part.source is None or source is None:
                yield part, f"{words} {_range(part)} on {trained}"
                continue
            made_on = f"{source.model}{data}, {source.defence}"
            yield part.source.train, f"train {made_on}, {seed}"
            yield part.source, f"{words} {_range(part)} on {made_on}, {seed}"
            yield part, f"{words} {_range(part)} from {made_on} on {trained}"
    if cell.goal.oracle is not None:
        yield cell.goal.oracle, f"train the oracle of {cell.coords['measure']}{data}, {seed}"
    yield cell.goal, f"{_words(cell, cell.coords['measure'])} on {trained}"


def _range(part: Perturb) -> str:
    return f"{part.part[0]}-{part.part[1]}"


def _words(place: Cell | Attacked, label: Scalar) -> str:
    """A label followed by its swept fields: pgd eps 0.1."""
    prefix = f"{label}."
    swept = (
        f"{name.removeprefix(prefix)} {value:g}"
        if isinstance(value, float)
        else f"{name.removeprefix(prefix)} {value}"
        for name, value in place.coords.items()
        if name.startswith(prefix)
    )
    return " ".join([str(label), *swept])
