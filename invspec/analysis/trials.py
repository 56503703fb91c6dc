"""What a store holds of attacks on nets, without the specs that asked for them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor

from invspec.data import Finding
from invspec.execution.rebuild import Rebuilder, Unknown
from invspec.execution.store import Store
from invspec.kinds import Attack, Sample
from invspec.tasks import Examine, Perturb, Task, Train, without_seed

COLUMNS = ("index", "y", "prediction", "prediction_adv")


@dataclass(frozen=True)
class Trial:
    """An attack on a sample, whatever the net.

    earlier are the attacks of a sweep whose results it starts from, source is the net on which a
    transfer attack made its images.
    """

    attack: Attack
    sample: Sample
    before: Attack | None = None
    precision: str = "float32"
    earlier: tuple[Attack, ...] = ()
    source: Train | None = None
    generator: Train | None = None

    @property
    def threat(self) -> tuple[str, float] | None:
        """The norm and the radius of the ball that is searched; None if there is no such ball."""
        eps, norm = getattr(self.attack, "eps", None), getattr(self.attack, "norm", None)
        if not isinstance(eps, int | float) or not isinstance(norm, str):
            return None
        return (norm, float(eps)) if eps > 0 and self.sample.targets is None else None

    @property
    def is_transform(self) -> bool:
        """Whether it changes images without the net, as a rotation does."""
        attack = self.attack
        is_plain = self.sample.targets is None and self.before is None
        return attack.ignores_model and not attack.keeps_images and is_plain


@dataclass(frozen=True, eq=False)
class Trialled:
    """A trial of a net: the predictions for each example, (N,), clean and attacked."""

    trial: Trial
    train: Train
    parts: tuple[Perturb, ...]
    index: Tensor
    y: Tensor
    prediction: Tensor
    prediction_adv: Tensor

    @property
    def examples(self) -> frozenset[int]:
        """The examples of the split that were judged."""
        return frozenset(self.index.tolist())


@dataclass(frozen=True)
class Holdings:
    """The trials and the findings of a store.

    unread counts the results that cannot be read here, by the reason.
    """

    trials: tuple[Trialled, ...]
    findings: Mapping[Examine, Finding] = field(default_factory=dict[Examine, Finding])
    unread: Mapping[str, int] = field(default_factory=dict[str, int])


def holdings(store: Store) -> Holdings:
    """Everything that a store holds of attacks and checks. Results of other code are counted."""
    rebuilder, unread = Rebuilder(store), Counter[str]()
    attacks = list(_tasks(store, rebuilder, "perturb", unread))
    findings: dict[Examine, Finding] = {}
    for task in _tasks(store, rebuilder, "examine", unread):
        if (finding := store.load(task).finding) is not None:
            findings[cast(Examine, task)] = finding
    return Holdings(tuple(trialled(cast(list[Perturb], attacks), store)), findings, dict(unread))


def _tasks(store: Store, rebuilder: Rebuilder, kind: str, unread: Counter[str]) -> Iterator[Task]:
    """The finished tasks of a verb that this code can read."""
    for folder in store.finished(kind):
        try:
            yield rebuilder.task(kind, folder.name)
        except Unknown as problem:
            unread[problem.message] += 1


def trialled(attacks: Iterable[Perturb], store: Store) -> list[Trialled]:
    """The trials of classifiers that parts of attacks make up; none of pairs."""
    parts: dict[tuple[Trial, Train], list[Perturb]] = defaultdict(list)
    for task in attacks:
        trial = trial_of(task)
        if task.train.model.makes == "logits" and task.sample.targets is None:
            parts[trial, task.train].append(task)
    return [
        _joined(trial, train, sorted(own, key=lambda task: task.part), store)
        for (trial, train), own in parts.items()
    ]


def trial_of(task: Perturb) -> Trial:
    """The trial that a task is a part of."""
    earlier: list[Attack] = []
    first = task.source or task
    while first.after is not None:
        first = first.after
        earlier.append(first.attack)
    source = None if task.source is None else without_seed(task.source.train)
    generator = task.generator or (task.source.generator if task.source else None)
    return Trial(
        task.attack,
        task.sample,
        task.before,
        task.precision,
        tuple(earlier),
        source,
        None if generator is None else replace(without_seed(generator), against=None),
    )


def _joined(trial: Trial, train: Train, parts: list[Perturb], store: Store) -> Trialled:
    loaded = [store.load(part).tensors for part in parts]
    columns = (torch.cat([tensors[name] for tensors in loaded]) for name in COLUMNS)
    return Trialled(trial, train, tuple(parts), *columns)
