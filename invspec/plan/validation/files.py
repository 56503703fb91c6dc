"""Files that methods read: data, whose digests are part of keys, and weights of trained nets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from invspec.errors import InvspecError, SpecError
from invspec.kinds import Defence, plain
from invspec.plan.cells import Cell, Plan
from invspec.spec.resolved import Spec
from invspec.tasks import Train

# Whether a training is already in the store, so that its files are read no more.
IsDone = Callable[[Train], bool]


def problems(spec: Spec, *parts: str) -> Iterator[SpecError]:
    """Missing files of the methods in some parts of a spec."""
    for part in parts:
        for label, entry in spec.entries[part].items():
            for variant in entry.variants:
                try:
                    plain(variant.method)
                except InvspecError as problem:
                    yield SpecError(problem.message, hint=problem.hint, path=(part, label))


def weight_problems(planned: Plan, is_done: IsDone = lambda train: False) -> Iterator[SpecError]:
    """Files of trainings still to do that are missing or do not fit the nets that load them."""
    seen: set[object] = set()
    for cell in planned.cells:
        for label, train in _trainings(planned.spec, cell, is_done):
            parts = train.dataset, train.model, train.defence
            if parts not in seen and _reads_files(train.defence) and not is_done(train):
                yield from _misfits(label, train)
            seen.add(parts)


def _trainings(spec: Spec, cell: Cell, is_done: IsDone) -> Iterator[tuple[str, Train]]:
    """The trainings behind a cell, with the labels of their defences.

    A feature net is read only while the net that names it trains.
    """
    nets = [(str(cell.coords["defence"]), cell.goal.train)]
    oracle = spec.entries["measures"][str(cell.coords["measure"])].oracle
    if oracle is not None and cell.goal.oracle is not None:
        nets.append((oracle.defence, cell.goal.oracle))
    for attack, parts in zip(cell.attacks, cell.goal.of, strict=True):
        source = spec.entries["attacks"][attack.label].source
        made = parts[0].source if parts else None
        if source is not None and made is not None:
            nets.append((source.defence, made.train))
    for label, train in nets:
        yield label, train
        net = spec.entries["defences"][label].feature_net
        if net is not None and train.features is not None and not is_done(train):
            yield net.defence, train.features


def _reads_files(defence: Defence) -> bool:
    return type(defence).require_files is not Defence.require_files


def _misfits(label: str, train: Train) -> Iterator[SpecError]:
    shape, classes = train.dataset.shape, train.dataset.classes
    try:
        sketch = train.model.sketch(shape, classes)
    # `models` says what is wrong with a model
    except Exception:
        return
    try:
        train.defence.require_files(sketch, shape, classes)
    except InvspecError as problem:
        yield SpecError(problem.message, hint=problem.hint, path=("defences", label))
