"""Generators: attacks that need one must name one that a line of `train` trains on their data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from invspec.errors import SpecError
from invspec.kinds import Attack, GeneratorTraining, Model
from invspec.plan.products import measures_of, trains_generators
from invspec.plan.validation.attacks import net_problems
from invspec.spec.resolved import Resolved, Spec
from invspec.spec.schema import Generator, TrainLine


def problems(spec: Spec) -> Iterator[SpecError]:
    """Problems of generators and of the attacks that start at their images; labels are known."""
    for number, line in enumerate(spec.train):
        for problem in _line_problems(spec, line):
            yield problem.within("train", number)
    if all(trains_generators(spec, line) for line in spec.train):
        message = "expected a line with a model that makes logits, found only generators"
        yield SpecError(message, hint="generators have no measures", path=("train",))
    for label, attack in spec.entries["attacks"].items():
        for problem in _attack_problems(spec, label, attack):
            yield problem.within("attacks", label)


def warnings(spec: Spec) -> Iterator[SpecError]:
    """Lines of generators that no attack names: nothing is trained there."""
    entries = spec.entries["attacks"].values()
    named = {(net.model, net.defence) for net in (entry.generator for entry in entries) if net}
    for number, line in enumerate(spec.train):
        nets = {(model, defence) for model in line.model for defence in line.defence}
        if trains_generators(spec, line) and not nets & named:
            message = "no attack names a generator of this line, so none is trained"
            hint = "write `generator: {model: label, defence: label}` beside an attack's `use`"
            yield SpecError(message, hint=hint, path=("train", number))


def _line_problems(spec: Spec, line: TrainLine) -> Iterator[SpecError]:
    if not trains_generators(spec, line):
        for label in line.defence:
            if _trains_generator(spec, label):
                message = f"defence {label} trains generators, and the models here make logits"
                yield SpecError(message, hint="give generators a line of their own")
        return
    for label in line.model:
        if _makes(spec, label) == "logits":
            message = f"model {label} makes logits, and other models of this line are generators"
            hint = "give generators a line of their own"
            yield SpecError(message, hint=hint, path=("model",))
    for label in line.defence:
        if not _trains_generator(spec, label):
            message = f"defence {label} trains classifiers, and the models here make images"
            hint = "use a defence for generators, such as walk_generator"
            yield SpecError(message, hint=hint, path=("defence",))
    if line.measures is not None:
        message = "models that make images have no measures"
        yield SpecError(message, hint="remove it", path=("measures",))


def _attack_problems(spec: Spec, label: str, attack: Resolved) -> Iterator[SpecError]:
    wants = any(cast(Attack, variant.method).wants_generator for variant in attack.variants)
    if attack.generator is None:
        if wants:
            message = f"attack {label} needs a generator"
            hint = "write `generator: {model: label, defence: label}`, a line of `train`"
            yield SpecError(message, hint=hint)
        return
    if not wants:
        hint = "remove it, or start the attack at its images: `start: {use: generated}`"
        yield SpecError(f"attack {label} takes no generator", hint=hint, path=("generator",))
        return
    wrong = list(net_problems(spec, attack.generator, "generator", ("generator",)))
    yield from wrong
    for dataset in () if wrong else _datasets(spec, label):
        if not _is_trained(spec, attack.generator, dataset):
            net = f"model {attack.generator.model} with defence {attack.generator.defence}"
            message = f"no line of `train` has {net} on {dataset}"
            hint = f"attack {label} needs the line as its generator"
            yield SpecError(message, hint=hint, path=("generator",))


def _datasets(spec: Spec, attack: str) -> Iterator[str]:
    """The data sets on which some measure reads an attack, each once."""
    read = {
        dataset: None
        for line in spec.train
        for name in measures_of(spec, line)
        if attack in spec.entries["measures"][name].of
        for dataset in line.dataset
    }
    yield from read


def _is_trained(spec: Spec, net: Generator, dataset: str) -> bool:
    return any(
        net.model in line.model and net.defence in line.defence and dataset in line.dataset
        for line in spec.train
    )


def _makes(spec: Spec, model: str) -> str:
    return cast(Model, spec.entries["models"][model].variants[0].method).makes


def _trains_generator(spec: Spec, defence: str) -> bool:
    return isinstance(spec.entries["defences"][defence].variants[0].method, GeneratorTraining)
