"""Data sets, models and all methods that use the models must fit each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from invspec.errors import SpecError
from invspec.kinds import Attack, Dataset, Method, Model
from invspec.plan import alignment
from invspec.plan.cells import words
from invspec.plan.products import measures_of, takes_sweep, variants_of
from invspec.plan.validation.sketches import sketched
from invspec.spec.resolved import Spec, Variant
from invspec.spec.schema import Net, TrainLine


def problems(spec: Spec) -> Iterator[SpecError]:
    """Methods that do not fit, located at the line of `train` that combines them.

    Builds every model once, without weights where it works without.
    """
    yield from _oracle_problems(spec)
    yield from _source_problems(spec)
    yield from _feature_net_problems(spec)
    for number, line in enumerate(spec.train):
        for problem in _line_problems(spec, line):
            yield problem.within("train", number)


def _line_problems(spec: Spec, line: TrainLine) -> Iterator[SpecError]:
    yield from _sweep_problems(spec, line)
    yield from _training_problems(spec, line)
    pairs = itertools.product(
        variants_of(spec, "dataset", line.dataset), variants_of(spec, "model", line.model)
    )
    for (where, dataset), (named, model) in pairs:
        label, data = str(named["model"]), str(where["dataset"])
        try:
            net = sketched(dataset, model, f"{words(named, label)} on {words(where, data)}")
        except SpecError as problem:
            yield problem
            continue
        # a generator has no logits, which all other users need
        if model.makes == "logits":
            yield from _misfits(_users(spec, line), net, label, dataset, data)


def _sweep_problems(spec: Spec, line: TrainLine) -> Iterator[SpecError]:
    """Measures that take a whole sweep need an attack that has one."""
    for name in measures_of(spec, line):
        measure = spec.entries["measures"][name]
        attacks = [spec.entries["attacks"][label] for label in measure.of]
        if takes_sweep(measure) and alignment.count(attacks) < 2:
            noun = "attack" if len(attacks) == 1 else "attacks"
            found = f"found none in {noun} {' and '.join(measure.of)}"
            message = f"measure {name} needs a sweep, {found}"
            path = ("measures",) if line.measures else ()
            yield SpecError(message, hint="sweep a field of the attack", path=path)


def _training_problems(spec: Spec, line: TrainLine) -> Iterator[SpecError]:
    """Defences of a line whose attacks want a target."""
    for label in line.defence:
        methods = (variant.method for variant in spec.entries["defences"][label].variants)
        if any(map(_wants_target, methods)):
            yield _no_target(label).within("defence")


def _wants_target(defence: Method) -> bool:
    return any(attack.wants_target for attack in _attacks_in(defence))


def _no_target(label: str) -> SpecError:
    message = f"the attack of defence {label} needs a target, and training has none"
    return SpecError(message, hint="choose an attack without a target")


def _oracle_problems(spec: Spec) -> Iterator[SpecError]:
    """Oracles that do not fit the data they are used on, or their own training."""
    for line in spec.train:
        for name in measures_of(spec, line):
            if (oracle := spec.entries["measures"][name].oracle) is None:
                continue
            for problem in _net_problems(spec, oracle, line.dataset, ()):
                message = f"the oracle of measure {name}: {problem.message}"
                yield SpecError(message, hint=problem.hint, path=("measures", name, "oracle"))


def _source_problems(spec: Spec) -> Iterator[SpecError]:
    """Nets that do not fit the attack that makes its images on them, their data or training."""
    uses = {
        (label, line.dataset): None
        for line in spec.train
        for name in measures_of(spec, line)
        for label in spec.entries["measures"][name].of
    }
    for label, datasets in uses:
        entry = spec.entries["attacks"][label]
        if entry.source is None:
            continue
        attacks = [User("attack", label, variant) for variant in entry.variants]
        for problem in _net_problems(spec, entry.source, datasets, attacks):
            message = f"the source of attack {label}: {problem.message}"
            yield SpecError(message, hint=problem.hint, path=("attacks", label, "from"))


def _feature_net_problems(spec: Spec) -> Iterator[SpecError]:
    """Feature nets that do not fit the data that the defence meets, or their own training."""
    uses: dict[tuple[str, str], None] = {}
    for line in spec.train:
        measures = [spec.entries["measures"][name] for name in measures_of(spec, line)]
        sources = [spec.entries["attacks"][label].source for m in measures for label in m.of]
        others = [net.defence for net in (*(m.oracle for m in measures), *sources) if net]
        uses |= dict.fromkeys(itertools.product((*line.defence, *others), line.dataset))
    for label, dataset in uses:
        if (net := spec.entries["defences"][label].feature_net) is None:
            continue
        for problem in _net_problems(spec, net, (dataset,), ()):
            message = f"the feature net of defence {label}: {problem.message}"
            yield SpecError(message, hint=problem.hint, path=("defences", label, "feature_net"))


def _net_problems(
    spec: Spec, net: Net, datasets: Iterable[str], users: Iterable[User]
) -> Iterator[SpecError]:
    """What is wrong with a net that a spec names, on each of these data sets."""
    for label in datasets:
        for variant in spec.entries["datasets"][label].variants:
            yield from _net_mismatches(spec, net, cast(Dataset, variant.method), label, users)


def _net_mismatches(
    spec: Spec, net: Net, dataset: Dataset, label: str, users: Iterable[User]
) -> Iterator[SpecError]:
    model = cast(Model, spec.entries["models"][net.model].variants[0].method)
    defence = spec.entries["defences"][net.defence].variants[0]
    try:
        sketch = sketched(dataset, model, f"{net.model} on {label}")
    except SpecError as problem:
        yield problem
        return
    if _wants_target(defence.method):
        yield _no_target(net.defence)
    trainers = _trainers(net.defence, defence)
    yield from _misfits((*trainers, *users), sketch, net.model, dataset, label)


# ─ what uses a net ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class User:
    """A method that uses a net: a value of the sweep of an entry, or an attack inside of it."""

    noun: str
    label: str
    variant: Variant
    inner: Method | None = None

    @property
    def method(self) -> Method:
        """The method itself."""
        return self.inner or self.variant.method

    @property
    def name(self) -> str:
        """Its name in messages about all values of a sweep: attack pgd."""
        return f"{self.noun} {self.label}"

    @property
    def full_name(self) -> str:
        """Its name in messages about some of them: attack pgd eps 0.1."""
        return f"{self.noun} {words(self.variant.coords, self.label)}"


def _users(spec: Spec, line: TrainLine) -> Iterator[User]:
    """Every method that uses the models of a line."""
    for label in line.defence:
        for variant in spec.entries["defences"][label].variants:
            yield from _trainers(label, variant)
    names = measures_of(spec, line)
    read = (label for name in names for label in spec.entries["measures"][name].of)
    # a transfer attack uses the model of its source alone
    attacks = (label for label in read if spec.entries["attacks"][label].source is None)
    for part, noun, labels in (("attacks", "attack", attacks), ("measures", "measure", names)):
        for label in dict.fromkeys(labels):
            for variant in spec.entries[part][label].variants:
                yield User(noun, label, variant)


def _trainers(label: str, variant: Variant) -> Iterator[User]:
    """A defence and its attacks."""
    yield User("defence", label, variant)
    for attack in _attacks_in(variant.method):
        yield User("attack of defence", label, variant, attack)


def _misfits(
    users: Iterable[User], net: Any, model: str, dataset: Dataset, data: str
) -> Iterator[SpecError]:
    """Users that do not fit a model or its data; those of a sweep are named if others fit."""
    alike: dict[str, list[User]] = {}
    for user in users:
        alike.setdefault(user.name, []).append(user)
    for members in alike.values():
        wrong = [user for user in members if any(_problems(user, "", net, model, dataset, data))]
        for user in wrong:
            name = user.name if len(wrong) == len(members) else user.full_name
            yield from _problems(user, name, net, model, dataset, data)


def _problems(
    user: User, name: str, net: Any, model: str, dataset: Dataset, data: str
) -> Iterator[SpecError]:
    yield from mismatch(user.method, name, net, f"model {model}")
    yield from _too_few_classes(user.method, name, dataset, data)


def _attacks_in(defence: Method) -> Iterator[Attack]:
    return (value for value in vars(defence).values() if isinstance(value, Attack))


def mismatch(method: Method, user: str, net: Any, called: str) -> Iterator[SpecError]:
    """The error if a net lacks what a method needs. called: the net in words: model lenet."""
    protocol = method.accepts
    if protocol is not None and not isinstance(net, protocol):
        meaning = (protocol.__doc__ or protocol.__name__).splitlines()[0].rstrip(".")
        hint = f"it needs {meaning[0].lower()}{meaning[1:]}"
        yield SpecError(f"{user} does not fit {called}", hint=hint)


def _too_few_classes(
    method: Method, user: str, dataset: Dataset, label: str
) -> Iterator[SpecError]:
    """The error if an attack compares more classes than the data have."""
    if isinstance(method, Attack) and method.least_classes > dataset.classes:
        found = f"{label} has {dataset.classes}"
        message = f"{user} needs at least {method.least_classes} classes, {found}"
        hint = "choose another attack" + (", or loss: ce" if hasattr(method, "loss") else "")
        yield SpecError(message, hint=hint)
