"""Limits on the number of cells and of tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import cast

from invspec.errors import SpecError
from invspec.kinds import Attack, Dataset
from invspec.plan import alignment
from invspec.plan.parts import part_size
from invspec.plan.products import is_worst_case, measures_of, takes_sweep
from invspec.plan.sizes import size
from invspec.spec.resolved import Resolved, Spec
from invspec.spec.schema import TrainLine

MAX_CELLS, MAX_PARTS = 200_000, 2_000_000


def problems(spec: Spec) -> Iterator[SpecError]:
    """Products, sweeps and samples that are too large to plan."""
    count = sum(_cell_count(spec, line) for line in spec.train)
    if count > MAX_CELLS:
        message = f"expected at most {MAX_CELLS:,} cells, found {count:,}"
        yield SpecError(message, hint="drop labels, seeds or values of sweeps", path=("train",))
        return
    yield from _empty(spec)
    for label, attack in spec.entries["attacks"].items():
        for data in spec.entries["datasets"].values():
            parts, most = _part_count(data, attack)
            if parts * count > MAX_PARTS:
                work = f"{most:,} examples in each of {count:,} cells"
                message = f"expected at most {MAX_PARTS:,} tasks, found more: {work}"
                hint = "take fewer examples with `sample: {limit: ...}`"
                yield SpecError(message, hint=hint, path=("attacks", label))


def _empty(spec: Spec) -> Iterator[SpecError]:
    """Samples of a split without examples, such as the validation split of `val: 0`."""
    uses = {
        (attack, data): None
        for line in spec.train
        for name in measures_of(spec, line)
        for attack in spec.entries["measures"][name].of
        for data in line.dataset
    }
    for label, data in uses:
        split = spec.entries["attacks"][label].sample.split
        variants = spec.entries["datasets"][data].variants
        if not all(cast(Dataset, variant.method).count(split) for variant in variants):
            message = f"the split {split} of {data} has no examples"
            hint = "choose another split, or give the data set a larger one"
            yield SpecError(message, hint=hint, path=("attacks", label))


def _part_count(data: Resolved, attack: Resolved) -> tuple[int, int]:
    """The largest numbers of parts and of examples of an attack on a variant of a data set."""
    datasets = [cast(Dataset, variant.method) for variant in data.variants]
    attacks = [cast(Attack, variant.method) for variant in attack.variants]
    counts = [size(dataset, attack.sample) for dataset in datasets]
    parts = (
        math.ceil(count / part_size(dataset, method))
        for dataset, count in zip(datasets, counts, strict=True)
        for method in attacks
    )
    return max(parts), max(counts)


def _cell_count(spec: Spec, line: TrainLine) -> int:
    """Cells of a line of `train`."""

    def count(part: str, labels: Iterable[str]) -> int:
        return sum(len(spec.entries[part][label].variants) for label in labels)

    measures = (spec.entries["measures"][label] for label in measures_of(spec, line))
    scores = sum(len(measure.variants) * _input_count(spec, measure) for measure in measures)
    trained = count("models", line.model) * count("defences", line.defence)
    seeds = sum(count("datasets", [label]) * len(spec.seeds_on(label)) for label in line.dataset)
    return trained * seeds * scores


def _input_count(spec: Spec, measure: Resolved) -> int:
    """The number of scores of a measure for one of its variants on one net."""
    attacks = [spec.entries["attacks"][label] for label in measure.of]
    if takes_sweep(measure):
        return 1
    if is_worst_case(measure):
        return alignment.count(attacks)
    return math.prod(len(attack.variants) for attack in attacks)
