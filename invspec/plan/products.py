"""The cells of a spec: the products of the labels in `train`, the seeds and the sweeps."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, cast

from invspec.kinds import Dataset, Defence, Measure, Model
from invspec.plan import alignment
from invspec.plan.cells import Attacked, Cell
from invspec.plan.parts import Attacks
from invspec.plan.precisions import Precisions
from invspec.spec.resolved import Resolved, Spec, Variant
from invspec.spec.schema import Coords, Net, TrainLine
from invspec.tasks import Perturb, Score, Train


def cells_of(spec: Spec, precisions: Precisions) -> Iterator[Cell]:
    """Every cell of a spec. Lines of `train` that overlap give the same cell more than once."""
    attacks = Attacks(precisions)
    nets = _nets(spec, precisions)
    for line in spec.train:
        names = measures_of(spec, line)
        # a generator is trained where an attack names it
        for coords, train in _trainings(spec, line, precisions) if names else ():
            for name in names:
                measured = nets[name][train.dataset, train.seed]
                for place, goal, read in _scores(spec, name, train, attacks, measured):
                    where = {**coords, **place, "measure": name, "seed": train.seed}
                    attacked = tuple(Attacked(of, variant.coords) for of, variant in read)
                    yield Cell(where, goal, attacked)


def measures_of(spec: Spec, line: TrainLine) -> tuple[str, ...]:
    """The measures of a line of `train`: those it names, or all. Generators have none."""
    if trains_generators(spec, line):
        return ()
    return line.measures or tuple(spec.entries["measures"])


def trains_generators(spec: Spec, line: TrainLine) -> bool:
    """Whether a line of `train` has models that make images; the others have none of them."""
    entries = (spec.entries["models"][label] for label in line.model)
    return any(variant.method.makes == "images" for entry in entries for variant in entry.variants)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


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


def is_worst_case(measure: Resolved) -> bool:
    """Whether several attacks stand for one, with the worst of their results for each example."""
    return len(measure.of) > 1 and cast(Measure, measure.variants[0].method).takes[1] == 1


# The trainings under a measure, by its label, their data set and their seed.
Nets = dict[str, dict[tuple[Dataset, int], dict[Train, None]]]


def _nets(spec: Spec, precisions: Precisions) -> Nets:
    """All trainings under each measure with `correct_in_all`; no others."""
    nets: Nets = defaultdict(lambda: defaultdict(dict))
    for line in spec.train:
        named = measures_of(spec, line)
        names = [name for name in named if spec.entries["measures"][name].correct_in_all]
        for _, train in _trainings(spec, line, precisions) if names else ():
            for name in names:
                nets[name][train.dataset, train.seed][train] = None
    return nets


def _trainings(
    spec: Spec, line: TrainLine, precisions: Precisions
) -> Iterator[tuple[Coords, Train]]:
    axes = (
        variants_of(spec, part, getattr(line, part)) for part in ("dataset", "model", "defence")
    )
    for (where_d, data), (where_m, model), (where_f, defence) in itertools.product(*axes):
        methods = cast(Dataset, data), cast(Model, model), cast(Defence, defence)
        for seed in spec.seeds_on(str(where_d["dataset"])):
            task = _training(spec, precisions, *methods, str(where_f["defence"]), seed)
            yield {**where_d, **where_m, **where_f}, task


def _training(
    spec: Spec,
    precisions: Precisions,
    dataset: Dataset,
    model: Model,
    defence: Defence,
    label: str,
    seed: int,
) -> Train:
    """A training by the defence of this label, beside its feature net if it has one."""
    entry, features = spec.entries["defences"][label], None
    if entry.feature_net is not None:
        features = _net(spec, precisions, entry.feature_net, dataset, seed)
    return precisions.train(dataset, model, defence, seed, entry.threads, features)


# Variants of attacks that one score reads, with the labels of their entries.
Input = tuple[tuple[str, Variant], ...]


def _scores(
    spec: Spec, name: str, train: Train, attacks: Attacks, nets: Iterable[Train]
) -> Iterator[tuple[Coords, Score, Input]]:
    """The scores of a measure on one net; nets are those that `correct_in_all` compares."""
    measure = spec.entries["measures"][name]
    oracle = None
    if measure.oracle is not None:
        oracle = _net(spec, attacks.precisions, measure.oracle, train.dataset, train.seed)
    worst_of = len(measure.of) if is_worst_case(measure) else 1
    inputs = [
        (
            read,
            tuple(_parts(spec, read, train, attacks)),
            tuple(next(_parts(spec, read, net, attacks)) for net in nets) or None,
        )
        for read in _inputs(spec, measure)
    ]
    for variant, (read, of, correct_in) in itertools.product(measure.variants, inputs):
        where = {} if takes_sweep(measure) else _joined(measure, read)
        coords: Coords = {"attack": attack_label(measure), **where, **variant.coords}
        yield coords, Score(cast(Measure, variant.method), of, oracle, worst_of, correct_in), read


def attack_label(measure: Resolved) -> str:
    """The attacks of a measure as a coordinate."""
    if is_worst_case(measure):
        return f"worst of {', '.join(measure.of)}"
    return "+".join(measure.of)


def _inputs(spec: Spec, measure: Resolved) -> list[Input]:
    """What each score of a measure reads; a measure of a whole sweep reads all of it."""
    attacks = [spec.entries["attacks"][label] for label in measure.of]
    if is_worst_case(measure):
        combinations = alignment.combinations(attacks)
    else:
        combinations = list(itertools.product(*(attack.variants for attack in attacks)))
    read = [tuple(zip(measure.of, combination, strict=True)) for combination in combinations]
    if not takes_sweep(measure):
        return read
    # each method once: in a smoke run, several values of a sweep share one
    sweep = {
        (label, variant.method, variant.before): (label, variant)
        for label, variant in itertools.chain(*read)
    }
    return [tuple(sweep.values())]


def _joined(measure: Resolved, read: Input) -> Coords:
    variants = [variant for _, variant in read]
    if is_worst_case(measure):
        return alignment.joined(variants)
    return {name: value for variant in variants for name, value in variant.coords.items()}


def _parts(
    spec: Spec, read: Input, train: Train, attacks: Attacks
) -> Iterator[tuple[Perturb, ...]]:
    """The attacks of a score on one net, each in parts."""
    for label, variant in read:
        entry = spec.entries["attacks"][label]
        source = generator = None
        if entry.source is not None:
            source = _net(spec, attacks.precisions, entry.source, train.dataset, train.seed)
        if entry.generator is not None:
            generator = _generator(spec, entry.generator, source or train, attacks)
        yield attacks.parts(train, variant, entry, source, generator)


def _net(spec: Spec, precisions: Precisions, net: Net, dataset: Dataset, seed: int) -> Train:
    """The training of an oracle, a source or a feature net, on the data and from the seed."""
    return _training(spec, precisions, dataset, *_methods(spec, net), net.defence, seed)


def _generator(spec: Spec, net: Net, against: Train, attacks: Attacks) -> Train:
    """The training of a generator against a classifier."""
    threads = spec.entries["defences"][net.defence].threads
    return attacks.precisions.generator(against, *_methods(spec, net), threads)


def _methods(spec: Spec, net: Net) -> tuple[Model, Defence]:
    """The methods that a net of the spec is named by."""
    model, defence = spec.entries["models"][net.model], spec.entries["defences"][net.defence]
    return cast(Model, model.variants[0].method), cast(Defence, defence.variants[0].method)
