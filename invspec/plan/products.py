"""The cells of a spec: the products of the labels in `train`, the seeds and the sweeps."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, cast

from invspec.kinds import Dataset, Defence, Measure, Model
from invspec.plan.cells import Cell
from invspec.plan.parts import Attacked
from invspec.plan.precisions import Precisions
from invspec.spec.resolved import Resolved, Spec, Variant
from invspec.spec.schema import Coords, Oracle, TrainLine
from invspec.tasks import Perturb, Score, Train


def cells_of(spec: Spec, precisions: Precisions) -> Iterator[Cell]:
    """Every cell of a spec. Lines of `train` that overlap give the same cell more than once."""
    attacked = Attacked(precisions)
    for line in spec.train:
        for coords, train in _trainings(spec, line, precisions):
            for name in measures_of(spec, line):
                for where, goal in _scores(spec, name, train, attacked):
                    yield Cell({**coords, **where, "measure": name, "seed": train.seed}, goal)


def measures_of(spec: Spec, line: TrainLine) -> tuple[str, ...]:
    """The measures of a line of `train`: those it names, or all."""
    return line.measures or tuple(spec.entries["measures"])


def variants_of(spec: Spec, part: str, labels: Iterable[str]) -> list[tuple[Coords, Any]]:
    """Labels of one part with their sweeps: ({"model": "gcnn", ...swept}, method)."""
    return [
        ({part: label, **variant.coords}, variant.method)
        for label in labels
        for variant in spec.entries[part + "s"][label].variants
    ]


def takes_sweep(measure: Resolved) -> bool:
    """Whether a measure takes a whole sweep at once."""
    return cast(Measure, measure.variants[0].method).takes_sweep


def _trainings(
    spec: Spec, line: TrainLine, precisions: Precisions
) -> Iterator[tuple[Coords, Train]]:
    axes = (
        variants_of(spec, part, getattr(line, part)) for part in ("dataset", "model", "defence")
    )
    for ((where_d, data), (where_m, model), (where_f, defence)), seed in itertools.product(
        itertools.product(*axes), spec.seeds
    ):
        methods = cast(Dataset, data), cast(Model, model), cast(Defence, defence)
        threads = spec.entries["defences"][str(where_f["defence"])].threads
        task = precisions.train(*methods, seed, threads)
        yield {**where_d, **where_m, **where_f}, task


def _scores(
    spec: Spec, name: str, train: Train, attacked: Attacked
) -> Iterator[tuple[Coords, Score]]:
    measure = spec.entries["measures"][name]
    oracle = None if measure.oracle is None else _oracle(spec, measure.oracle, train, attacked)
    for variant, (where, of) in itertools.product(
        measure.variants, list(_inputs(spec, measure, train, attacked))
    ):
        coords: Coords = {"attack": "+".join(measure.of), **where, **variant.coords}
        yield coords, Score(cast(Measure, variant.method), of, oracle)


def _inputs(
    spec: Spec, measure: Resolved, train: Train, attacked: Attacked
) -> Iterator[tuple[Coords, tuple[tuple[Perturb, ...], ...]]]:
    """The parts of all attacks that a score reads, with coordinates; one item per score."""
    attacks = [spec.entries["attacks"][label] for label in measure.of]
    if takes_sweep(measure):
        attack = attacks[0]
        yield {}, tuple(attacked.parts(train, variant, attack) for variant in attack.variants)
        return
    for chosen in itertools.product(*(entry.variants for entry in attacks)):
        pairs = zip(chosen, attacks, strict=True)
        yield _joined(chosen), tuple(attacked.parts(train, *pair) for pair in pairs)


def _joined(variants: Iterable[Variant]) -> Coords:
    return {name: value for variant in variants for name, value in variant.coords.items()}


def _oracle(spec: Spec, oracle: Oracle, train: Train, attacked: Attacked) -> Train:
    """The oracle's training, on the same data and from the same seed."""
    model, defence = spec.entries["models"][oracle.model], spec.entries["defences"][oracle.defence]
    methods = cast(Model, model.variants[0].method), cast(Defence, defence.variants[0].method)
    return attacked.precisions.train(train.dataset, *methods, train.seed, defence.threads)
