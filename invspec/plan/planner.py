"""A spec multiplied out: one cell per number in the report, each pointing at the task that gives it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from invspec.errors import SpecError
from invspec.kinds import Attack, Dataset, Defence, Measure, Model
from invspec.plan.files import check_files
from invspec.plan.sizes import size
from invspec.spec.resolved import Resolved, Spec, Variant
from invspec.spec.schema import Coords, Oracle, Scalar, TrainLine
from invspec.tasks import Part, Perturb, Score, Task, Train, needs

PART = 2_000  # examples in one perturb task: long attacks are cut into parts that several devices can share


IMAGES = 2**26  # numbers in the images of one part, 256 MiB, held a few times: 445 of ImageNet


PATHS = (
    200 * 1_002 * 3 * 32 * 32
)  # numbers in the paths of one part, 2.3 GiB, held twice: 200 of CIFAR, 1,000 steps


CHAIN = 50  # attacks that set out one from the other: a longer sweep begins anew, since nested values have a depth


MAX_CELLS, MAX_PARTS = 200_000, 2_000_000


Parts = tuple[tuple[Perturb, ...], ...]  # of each attack, its parts


@dataclass(frozen=True)
class Cell:
    """One number of the report. coords: labels and swept values, {"model": "gcnn", "pgd.eps": 0.1, "seed": 0}."""

    coords: Mapping[str, Scalar]
    goal: Score


@dataclass(frozen=True)
class Plan:
    """Everything that a spec asks for."""

    spec: Spec
    cells: tuple[Cell, ...]

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Every task that the cells need, each once, in an order in which it can be run."""
        ordered: dict[Task, None] = {}
        for cell in self.cells:
            _collect(cell.goal, ordered)
        return tuple(ordered)

    @cached_property
    def names(self) -> dict[Task, str]:
        """Every task in the words of the spec: train stdcnn, rotations max_degrees 180, seed 0."""
        named: dict[Task, str] = {}
        for cell in self.cells:
            for task, name in _named(cell):
                named.setdefault(task, name)
        return named

    def coordinates(self, measure: str | None = None) -> dict[str, list[Scalar]]:
        """Every coordinate of a measure's cells (default: of all) and its values, in the order of the spec."""
        found: dict[str, dict[Scalar, None]] = {}
        for cell in self.cells:
            if measure is None or cell.coords["measure"] == measure:
                for name, value in cell.coords.items():
                    found.setdefault(name, {})[value] = None
        return {name: list(values) for name, values in found.items()}


def _named(cell: Cell) -> Iterator[tuple[Task, str]]:
    def words(label: Scalar) -> str:
        swept = {
            name.split(".", 1)[1]: at
            for name, at in cell.coords.items()
            if name.startswith(f"{label}.")
        }
        told = (
            f"{field} {at:g}" if isinstance(at, float) else f"{field} {at}"
            for field, at in swept.items()
        )
        return " ".join([str(label), *told])

    trained = ", ".join(
        [
            *(words(cell.coords[part]) for part in ("model", "defence")),
            f"seed {cell.goal.train.seed}",
        ]
    )
    yield cell.goal.train, f"train {trained}"
    labels, count = str(cell.coords["attack"]).split("+"), len(cell.goal.of)
    if count > len(labels):  # the measure takes_sweep a sweep
        labels = [f"{labels[0]} {place} of {count}" for place in range(1, count + 1)]
    for label, parts in zip(labels, cell.goal.of, strict=True):
        yield from (
            (part, f"{words(label)} {part.part[0]}-{part.part[1]} on {trained}") for part in parts
        )
    if cell.goal.oracle is not None:
        yield (
            cell.goal.oracle,
            f"train the oracle of {cell.coords['measure']}, seed {cell.goal.oracle.seed}",
        )
    yield cell.goal, f"{words(cell.coords['measure'])} on {trained}"


def _collect(task: Task, ordered: dict[Task, None]) -> None:
    if task in ordered:
        return
    for need in needs(task):
        _collect(need, ordered)
    ordered[task] = None


def plan(spec: Spec) -> Plan:
    """Multiply a spec out. Raises SpecError where that is too much, or where data that is counted is missing."""
    try:
        check_files(spec, "datasets")
        _check_size(spec)
    except SpecError as problem:
        raise spec.source.locate(problem) from None
    cells = {
        tuple(sorted(cell.coords.items())): cell for cell in _cells(spec)
    }  # lines of `train` may overlap
    return Plan(spec, tuple(cells.values()))


def _check_size(spec: Spec) -> None:
    count = sum(_line_size(spec, line) for line in spec.train) * len(spec.seeds)
    if count > MAX_CELLS:
        found = f"the products and sweeps give {count:,} cells; at most {MAX_CELLS:,} are planned"
        raise SpecError(found, path=("train",))
    for label, attack in spec.entries["attacks"].items():
        for data in spec.entries["datasets"].values():
            both = itertools.product(data.variants, attack.variants)
            methods = [
                (cast(Dataset, one.method), cast(Attack, other.method)) for one, other in both
            ]
            most = max(size(one, attack.sample) for one, _ in methods)
            parts = max(
                math.ceil(size(one, attack.sample) / _part_size(one, other))
                for one, other in methods
            )
            if parts * count > MAX_PARTS:
                found = f"{most:,} examples in each of {count:,} cells are too many"
                raise SpecError(
                    found, hint="sample: {limit: ...} takes fewer", path=("attacks", label)
                )


def _line_size(spec: Spec, line: TrainLine) -> int:
    def variants(part: str, labels: Iterable[str]) -> int:
        return sum(len(spec.entries[part][label].variants) for label in labels)

    measures = (spec.entries["measures"][label] for label in measures_of(spec, line))
    scores = sum(
        len(m.variants)
        * (1 if takes_sweep(m) else math.prod(variants("attacks", [attack]) for attack in m.of))
        for m in measures
    )
    trained = math.prod(
        variants(part + "s", getattr(line, part)) for part in ("dataset", "model", "defence")
    )
    return trained * scores


def measures_of(spec: Spec, line: TrainLine) -> tuple[str, ...]:
    """The measures of a line of `train`: those it names, or all."""
    return line.measures or tuple(spec.entries["measures"])


def _cells(spec: Spec) -> Iterator[Cell]:
    for line in spec.train:
        for coords, train in _trainings(spec, line):
            for name in measures_of(spec, line):
                for where, goal in _scores(spec, name, train):
                    yield Cell({**coords, **where, "measure": name, "seed": train.seed}, goal)


def _trainings(spec: Spec, line: TrainLine) -> Iterator[tuple[Coords, Train]]:
    axes = (
        variants_of(spec, part, getattr(line, part)) for part in ("dataset", "model", "defence")
    )
    for ((where_d, data), (where_m, model), (where_f, defence)), seed in itertools.product(
        itertools.product(*axes), spec.seeds
    ):
        task = Train(cast(Dataset, data), cast(Model, model), cast(Defence, defence), seed)
        yield {**where_d, **where_m, **where_f}, task


def variants_of(spec: Spec, part: str, labels: Iterable[str]) -> list[tuple[Coords, Any]]:
    """Labels of one part with their sweeps: ({"model": "gcnn", ...swept}, method)."""
    return [
        ({part: label, **variant.coords}, variant.method)
        for label in labels
        for variant in spec.entries[part + "s"][label].variants
    ]


def _scores(spec: Spec, name: str, train: Train) -> Iterator[tuple[Coords, Score]]:
    measure = spec.entries["measures"][name]
    attacks = [spec.entries["attacks"][label] for label in measure.of]
    if takes_sweep(measure):
        whole = tuple(_parts(train, variant, attacks[0], spec) for variant in attacks[0].variants)
        attacked: list[tuple[Coords, Parts]] = [({}, whole)]
    else:
        attacked = [
            (
                _joined(chosen),
                tuple(_parts(train, *pair, spec) for pair in zip(chosen, attacks, strict=True)),
            )
            for chosen in itertools.product(*(entry.variants for entry in attacks))
        ]
    oracle = None if measure.oracle is None else _oracle(spec, measure.oracle, train)
    for variant, (where, of) in itertools.product(measure.variants, attacked):
        coords: Coords = {"attack": "+".join(measure.of), **where, **variant.coords}
        yield coords, Score(cast(Measure, variant.method), of, oracle)


def _oracle(spec: Spec, oracle: Oracle, train: Train) -> Train:
    """The oracle's training: on the same data, from the same seed."""
    model, defence = spec.entries["models"][oracle.model], spec.entries["defences"][oracle.defence]
    methods = cast(Model, model.variants[0].method), cast(Defence, defence.variants[0].method)
    return Train(train.dataset, *methods, train.seed)


def takes_sweep(measure: Resolved) -> bool:
    """Whether a measure takes a whole sweep at once."""
    return cast(Measure, measure.variants[0].method).takes_sweep


def _joined(variants: Iterable[Variant]) -> Coords:
    return {name: value for variant in variants for name, value in variant.coords.items()}


def _parts(train: Train, variant: Variant, entry: Resolved, spec: Spec) -> tuple[Perturb, ...]:
    whole, chain = size(train.dataset, entry.sample), _chain(variant, entry)
    most = _part_size(train.dataset, cast(Attack, variant.method))
    return tuple(
        _perturb(train, chain, entry, (start, min(start + most, whole)), spec)
        for start in range(0, whole, most)
    )


def _part_size(dataset: Dataset, attack: Attack) -> int:
    """Examples in one perturb task, fewer of large images, and where every image on their way is kept.

    A part is held in memory.
    """
    numbers, most = math.prod(dataset.shape), IMAGES
    if attack.path_vertices:
        numbers, most = numbers * attack.path_vertices, PATHS
    return min(PART, max(1, most // numbers))


def _perturb(
    train: Train, chain: Sequence[Attack], entry: Resolved, part: Part, spec: Spec
) -> Perturb:
    """The last attack of a chain, after all the others."""
    *before, attack = chain
    after = _perturb(train, before, entry, part, spec) if before else None
    precision = "float32" if attack.needs_float32 else spec.precision
    return Perturb(train, attack, entry.sample, part, precision, after)


def _chain(variant: Variant, entry: Resolved) -> list[Attack]:
    """The attacks of a sweep that search part of what this one does, from the smallest on, and this one.

    An attack on nothing (eps 0) comes before none: it would have the next one start at x rather than at random.
    """
    attack = cast(Attack, variant.method)
    if (field := attack.sweep_field) is None or entry.independent or not getattr(attack, field):
        return [attack]
    alike = {field: getattr(attack, field)}
    others = (cast(Attack, other.method) for other in entry.variants)
    within = [one for one in others if one.model_copy(update=alike) == attack]
    within = [one for one in within if 0 < getattr(one, field) <= alike[field]]
    within.sort(key=lambda one: getattr(one, field))
    return within[-((len(within) - 1) % CHAIN + 1) :]
