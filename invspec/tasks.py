"""The four kinds of task: train a model, perturb examples, score the results, examine both.

A task is a frozen value that holds methods and other tasks. The tasks among its fields are its
dependencies, and its key is the hash of its canonical JSON. The key covers everything that can
change a number, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import Field, dataclass, field, fields, replace
from functools import cache, lru_cache
from typing import Any, Literal

from invspec import sources
from invspec.kinds import (
    Attack,
    Check,
    Dataset,
    Defence,
    HasPrecision,
    Measure,
    Method,
    Model,
    Sample,
    outline,
    plain,
)

Precision = Literal["float32", "bfloat16"]

# Positions [start, stop) in a sample.
Part = tuple[int, int]


class _HashedOnce:
    """Base class of tasks: each computes its hash once, as tasks nest in chains of up to 50.

    Dictionaries compare by identity first, so a plan holds each task once.
    """

    def __hash__(self) -> int:
        try:
            return self.__dict__["_hash"]
        except KeyError:
            number = hash(tuple(getattr(self, field.name) for field in fields(self)))  # pyright: ignore[reportArgumentType]  # a dataclass
            self.__dict__["_hash"] = number
            return number

    def __getstate__(self) -> dict[str, Any]:
        # hashes of text differ between processes
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}


@dataclass(frozen=True)
class Train(_HashedOnce):
    """Fit one model. Artifact: its weights, and curves such as that of its loss.

    threads is the number of CPU threads that share its sums, and so round them. against is the
    frozen classifier that a generator is trained against; classifiers have none. features, if
    given, is the frozen net by whose features the training compares images.
    """

    dataset: Dataset
    model: Model
    defence: Defence
    seed: int
    threads: int = field(default=1, metadata={"omit_default": True})
    against: Train | None = None
    features: Train | None = None

    __hash__ = _HashedOnce.__hash__

    def __post_init__(self) -> None:
        is_classifier = self.model.makes == "logits"
        assert is_classifier or self.against is not None, "a generator is trained against a net"
        if isinstance(self.defence, HasPrecision):
            assert self.defence.precision != "auto", "a plan chooses the precision of a training"


@dataclass(frozen=True)
class Perturb(_HashedOnce):
    """Attack a part of a sample and judge the results. Artifact: x_adv and the judged columns.

    after, if given, is the same attack on a smaller set, which runs first. Images that it fooled
    keep their result; the others are attacked starting from its result, then from scratch.

    source, if given, is the same attack on another net: a transfer attack, whose images are only
    judged here.

    generator, if given, makes an image of each source and target, from which the attack starts.

    before, if given, transforms all images of the split first, without the net. What it makes of an
    image counts as the clean image everywhere.
    """

    train: Train
    attack: Attack
    sample: Sample
    part: Part
    precision: Precision = "float32"
    after: Perturb | None = None
    source: Perturb | None = None
    generator: Train | None = None
    before: Attack | None = None

    __hash__ = _HashedOnce.__hash__


@dataclass(frozen=True)
class Score(_HashedOnce):
    """Reduce one or several attacks, each in its parts, to rows.

    oracle is a second classifier, trained on the same data set and used as ground truth. If
    worst_of is above 1, that many attacks in a row stand for one: each example counts with the
    worst of their results. correct_in, if given, is one of the attacks on several nets: only
    examples count whose clean image all of these nets classify correctly. Artifact: the rows, and
    tensors for figures.
    """

    measure: Measure
    of: tuple[tuple[Perturb, ...], ...]
    oracle: Train | None = None
    worst_of: int = field(default=1, metadata={"omit_default": True})
    correct_in: tuple[tuple[Perturb, ...], ...] | None = None

    __hash__ = _HashedOnce.__hash__

    @property
    def train(self) -> Train:
        """The training of the attacked model."""
        return self.of[0][0].train


@dataclass(frozen=True)
class Examine(_HashedOnce):
    """Check a net or, if `of` has parts, an attack on it. Artifact: the finding.

    A check of a net sees `images` clean images, spread over the sample. A check of an attack sees
    the first `images` of its results; `of` holds the parts that have them. others are the same
    parts of the same attack on other nets, each in a tuple of its own.
    """

    check: Check
    train: Train
    of: tuple[Perturb, ...]
    sample: Sample
    images: int
    others: tuple[tuple[Perturb, ...], ...] = field(default=(), metadata={"omit_default": True})

    __hash__ = _HashedOnce.__hash__


Task = Train | Perturb | Score | Examine


def without_seed(train: Train) -> Train:
    """The same training from seed 0, and so those of the frozen nets that it reads."""
    against, features = (
        None if net is None else without_seed(net) for net in (train.against, train.features)
    )
    return replace(train, seed=0, against=against, features=features)


# Versions of the machinery's own part in artifacts: initial weights, sampling, padding, judging.
# Raise one when equal tasks of its type give other numbers than before. Version 1 of trainings drew
# dropout masks from the generator of the device; version 1 of attacks took labels from the softmax,
# and did not seed the global generators; version 2 of scores kept no targets of pairs.
MACHINERY = {"train": 2, "perturb": 2, "score": 3, "examine": 1}


def needs(task: Task) -> tuple[Task, ...]:
    """The tasks whose artifacts this one reads."""
    match task:
        case Train():
            return tuple(net for net in (task.against, task.features) if net is not None)
        case Perturb():
            others = (task.generator, task.after, task.source)
            return (task.train, *(other for other in others if other is not None))
        case Score():
            oracle = () if task.oracle is None else (task.oracle,)
            attacks = (*task.of, *(task.correct_in or ()))
            return (task.train, *oracle, *(part for parts in attacks for part in parts))
        case Examine():
            return (task.train, *task.of, *(part for parts in task.others for part in parts))


def needs_device(task: Task) -> bool:
    """Whether a task runs a net, rather than only read what attacks stored."""
    if not isinstance(task, Score):
        return True
    return task.measure.wants_model or task.oracle is not None


def verb(task: Task) -> str:
    """train, perturb, score or examine: the task's folder in the store."""
    return type(task).__name__.lower()


def label(task: Task) -> str:
    """A few words for a progress line."""
    match task:
        case Train():
            return f"train {_net(task)}"
        case Perturb():
            start, stop = task.part
            return f"{type(task.attack).__name__} {start}-{stop} on {_net(task.train)}"
        case Score():
            return f"{type(task.measure).__name__} on {_net(task.train)}"
        case Examine():
            attack = f"{type(task.of[0].attack).__name__} on " if task.of else ""
            return f"{type(task.check).__name__} of {attack}{_net(task.train)}"


def _net(train: Train) -> str:
    return f"{type(train.model).__name__} · {type(train.defence).__name__} · seed {train.seed}"


def canonical(task: Task) -> str:
    """The text that is hashed. It holds nested tasks as their keys.

    None is left out, so that a new field that is None by default changes no key; so is the default
    of a field that says so.
    """
    parts = (part for part in fields(task) if not _is_omitted(task, part))
    body = {part.name: _plain(getattr(task, part.name)) for part in parts}
    text = {"task": type(task).__name__, "machinery": MACHINERY[verb(task)], **body}
    return json.dumps(_without_none(text), sort_keys=True, allow_nan=False)


def _is_omitted(task: Task, part: Field[Any]) -> bool:
    return "omit_default" in part.metadata and getattr(task, part.name) == part.default


def _plain(value: Any) -> Any:
    if isinstance(value, Train | Perturb | Score | Examine):
        return key(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Method):
        return _plain_method(value, sources.generation())  # pyright: ignore[reportArgumentType]  # frozen: hashable
    return plain(value)


# a plan has many tasks of few methods
@lru_cache(maxsize=10_000)
def _plain_method(method: Method, generation: int) -> dict[str, Any]:
    return _without_none(plain(method))


def _without_none(value: Any) -> Any:
    """JSON without dict entries whose value is None."""
    if isinstance(value, dict):
        items: dict[str, Any] = value
        return {name: _without_none(item) for name, item in items.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def key(task: Task) -> str:
    """40 hex digits: SHA-256 of the canonical text."""
    return _key(task, sources.generation())


@cache
def _key(task: Task, generation: int) -> str:
    return hashlib.sha256(canonical(task).encode()).hexdigest()[:40]


def forget() -> None:
    """Forget all keys: a process keeps what it has hashed, even where files have changed since."""
    _key.cache_clear()
    _plain_method.cache_clear()


@cache
def draw_name(task: Task) -> str:
    """The text that seeds the random draws of a task.

    For a training: data set, model and seed, so that models that differ in their defence start from
    the same weights and see images in the same order, and so do generators that are trained against
    several classifiers. For an attack: its class, sample and seed, so that its settings share their
    noise, after whatever transform. For a score: everything that it measures, except the seed. For
    an examination: the check, and the class of the attack, so that all nets get the same draws.
    Versions, labels and module names are not in it, so that changing them changes no draw.
    """
    match task:
        case Train():
            name = {
                "dataset": outline(task.dataset),
                "model": outline(task.model),
                "seed": task.seed,
            }
        case Perturb():
            attack = outline(task.attack)["class"]
            name = {"attack": attack, "sample": outline(task.sample), "seed": task.train.seed}
        case Score():
            attacks = [_outlines(parts[0]) for parts in task.of]
            nets = [
                [outline(net.dataset), outline(net.model), outline(net.defence)]
                for net in (task.train, task.oracle)
                if net is not None
            ]
            name = {"measure": outline(task.measure), "of": attacks, "nets": nets}
        case Examine():
            attack = outline(task.of[0].attack)["class"] if task.of else None
            name = {"check": outline(task.check), "attack": attack}
    return json.dumps({verb(task): _without_none(name)}, sort_keys=True)


def _outlines(task: Perturb) -> list[Any]:
    """The attack, its sample and, if there is one, what transforms its images first."""
    before = [] if task.before is None else [outline(task.before)]
    return [outline(task.attack), outline(task.sample), *before]
