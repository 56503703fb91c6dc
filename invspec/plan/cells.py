"""The values of a plan: cells, one per number in the report, and the tasks behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from invspec.kinds import Precision
from invspec.plan.precisions import Question
from invspec.spec.resolved import Resolved, Spec
from invspec.spec.schema import Coords, Scalar
from invspec.tasks import Examine, Perturb, Score, Task, Train, needs


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
class Examination:
    """A check, by its label, of a net or of an attack on it, and the task that applies it.

    net holds the coordinates of the net: labels, swept fields and seed. attack is the label of the
    attack, None for a check of the net; swept holds the coordinates of the examined variant.
    """

    check: str
    net: Coords
    goal: Examine
    attack: str | None = None
    swept: Coords = field(default_factory=dict[str, Scalar])


@dataclass(frozen=True)
class Plan:
    """A spec, all of its cells, and what is examined of the nets and attacks behind them.

    answers are the precisions of its tasks where the spec says auto.
    """

    spec: Spec
    cells: tuple[Cell, ...]
    answers: Mapping[Question, Precision] = field(default_factory=dict[Question, Precision])
    examinations: tuple[Examination, ...] = ()

    @property
    def goals(self) -> list[Task]:
        """What a run computes: the scores of the cells, then the examinations."""
        scores = (cell.goal for cell in self.cells)
        return [*scores, *(examination.goal for examination in self.examinations)]

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Every task that a run needs, once each, dependencies first; examinations come last."""
        ordered: dict[Task, None] = {}
        for goal in self.goals:
            _collect(goal, ordered)
        return tuple(ordered)

    @cached_property
    def has_datasets(self) -> bool:
        """Whether its nets are of several data sets, so that names say which."""
        nets = (*(c.coords for c in self.cells), *(e.net for e in self.examinations))
        return len({words(net, net["dataset"]) for net in nets}) > 1

    @cached_property
    def names(self) -> dict[Task, str]:
        """Every task in the words of the spec: train stdcnn, rotations max_degrees 180, seed 0.

        With several data sets each name has its own: train stdcnn (mnist), ...
        """
        names: dict[Task, str] = {}
        for cell in self.cells:
            for task, name in _named(cell, self.spec, self.has_datasets):
                names.setdefault(task, name)
        for examination in self.examinations:
            name = f"check {examination.check} of {subject(examination, self.has_datasets)}"
            names.setdefault(examination.goal, name)
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


def net_words(net: Mapping[str, Scalar], with_dataset: bool) -> str:
    """A net in the words of the spec: stdcnn (mnist), rotations max_degrees 180, seed 0."""
    model, defence = (words(net, net[part]) for part in ("model", "defence"))
    return f"{model}{_data(net, with_dataset)}, {defence}, seed {net['seed']}"


def _data(net: Mapping[str, Scalar], with_dataset: bool) -> str:
    return f" ({words(net, net['dataset'])})" if with_dataset else ""


def subject(examination: Examination, with_dataset: bool) -> str:
    """What is examined: pgd eps 0.1 on stdcnn, rotations, seed 0."""
    net = net_words(examination.net, with_dataset)
    if examination.attack is None:
        return net
    return f"{words(examination.swept, examination.attack)} on {net}"


def _collect(task: Task, ordered: dict[Task, None]) -> None:
    if task not in ordered:
        for need in needs(task):
            _collect(need, ordered)
        ordered[task] = None


def _named(cell: Cell, spec: Spec, with_dataset: bool) -> Iterator[tuple[Task, str]]:
    """The tasks of a cell with their names."""
    seed, trained = f"seed {cell.goal.train.seed}", net_words(cell.coords, with_dataset)
    data = _data(cell.coords, with_dataset)
    yield from _training(spec, cell.goal.train, str(cell.coords["defence"]), trained, data)
    for attack, parts in zip(cell.attacks, cell.goal.of, strict=True):
        named = words(attack.coords, attack.label)
        entry = spec.entries["attacks"][attack.label]
        source = entry.source
        for part in parts:
            yield from _generator(part, entry, data, trained, seed)
            if part.source is None or source is None:
                yield part, f"{named} {_range(part)} on {trained}"
                continue
            made_on = f"{source.model}{data}, {source.defence}"
            net = f"{made_on}, {seed}"
            yield from _training(spec, part.source.train, source.defence, net, data)
            yield part.source, f"{named} {_range(part)} on {net}"
            yield part, f"{named} {_range(part)} from {made_on} on {trained}"
    oracle = spec.entries["measures"][str(cell.coords["measure"])].oracle
    if cell.goal.oracle is not None and oracle is not None:
        named = f"the oracle of {cell.coords['measure']}{data}, {seed}"
        yield from _training(spec, cell.goal.oracle, oracle.defence, named, data)
    yield cell.goal, f"{words(cell.coords, cell.coords['measure'])} on {trained}"


def _training(
    spec: Spec, task: Train, defence: str, trained: str, data: str
) -> Iterator[tuple[Task, str]]:
    """The training by the defence of this label with its name, after that of its feature net."""
    net = spec.entries["defences"][defence].feature_net
    if task.features is not None and net is not None:
        yield task.features, f"train {net.model}{data}, {net.defence}, seed {task.seed}"
    yield task, f"train {trained}"


def _generator(
    part: Perturb, entry: Resolved, data: str, trained: str, seed: str
) -> Iterator[tuple[Task, str]]:
    """The training of an attack's generator, if it has one, with its name."""
    generator, source = (part.source or part).generator, entry.source
    if generator is None or entry.generator is None:
        return
    against = trained
    if part.source is not None and source is not None:
        against = f"{source.model}{data}, {source.defence}, {seed}"
    named = f"{entry.generator.model}, {entry.generator.defence}"
    yield generator, f"train {named}, against {against}"


def _range(part: Perturb) -> str:
    return f"{part.part[0]}-{part.part[1]}"


def words(coords: Mapping[str, Scalar], label: Scalar) -> str:
    """A label followed by its swept fields: pgd eps 0.1."""
    prefix = f"{label}."
    swept = (
        f"{name.removeprefix(prefix)} {value:g}"
        if isinstance(value, float)
        else f"{name.removeprefix(prefix)} {value}"
        for name, value in coords.items()
        if name.startswith(prefix)
    )
    return " ".join([str(label), *swept])
