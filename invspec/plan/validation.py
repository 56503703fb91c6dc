"""Cross-checks of a plan: methods, data, targets and oracles must fit each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, cast

from invspec.errors import InvspecError, SpecError, first_line
from invspec.kinds import Attack, Dataset, Measure, Method, Model
from invspec.plan.files import check_files
from invspec.plan.planner import Plan, measures_of, takes_sweep, variants_of
from invspec.spec.resolved import Resolved, Spec
from invspec.spec.schema import Oracle, TrainLine

# ─ what does not fit ──────────────────────────────────────────────────────────────────────────────────────────────────


def check(planned: Plan) -> None:
    """Build every model once, without weights, and see that each data set, model and attack fit together.

    Raises SpecError that points at the line of `train` where they meet.
    """
    spec = planned.spec
    try:
        check_files(spec, *spec.entries)
        _check_targets(spec)
        _check_oracles(spec)
    except SpecError as problem:
        raise spec.source.locate(problem) from None
    for number, line in enumerate(spec.train):
        try:
            _check_line(spec, line)
        except SpecError as problem:
            raise spec.source.locate(problem.within("train", number)) from None


def _check_line(spec: Spec, line: TrainLine) -> None:
    measures = [spec.entries["measures"][name] for name in measures_of(spec, line)]
    for name, measure in zip(measures_of(spec, line), measures, strict=True):
        if takes_sweep(measure) and len(spec.entries["attacks"][measure.of[0]].variants) < 2:
            found = f"measure {name} is of a whole sweep, and attack {measure.of[0]} has none"
            raise SpecError(
                found,
                hint="sweep a field of the attack",
                path=("measures",) if line.measures else (),
            )
    for (where, dataset), (named, model) in itertools.product(
        variants_of(spec, "dataset", line.dataset), variants_of(spec, "model", line.model)
    ):
        net = _sketch(dataset, model, f"{named['model']} on {where['dataset']}")
        for what, method in _users(spec, line):
            _check_accepted(method, what, net, str(named["model"]))


def _check_oracles(spec: Spec) -> None:
    """Every oracle fits the data of the lines that ask it, and its own training."""
    asked = {
        (name, label): None
        for line in spec.train
        for name in measures_of(spec, line)
        if spec.entries["measures"][name].oracle
        for label in line.dataset
    }
    for name, label in asked:
        oracle = spec.entries["measures"][name].oracle
        assert oracle is not None, "only measures that ask one"
        for variant in spec.entries["datasets"][label].variants:
            try:
                _check_oracle(spec, oracle, cast(Dataset, variant.method), label)
            except SpecError as problem:
                found = f"the oracle of measure {name}: {problem.message}"
                raise SpecError(
                    found, hint=problem.hint, path=("measures", name, "oracle")
                ) from None


def _check_oracle(spec: Spec, oracle: Oracle, dataset: Dataset, on: str) -> None:
    model = cast(Model, spec.entries["models"][oracle.model].variants[0].method)
    net = _sketch(dataset, model, f"{oracle.model} on {on}")
    for what, method in _trainers(
        oracle.defence, spec.entries["defences"][oracle.defence].variants[0].method
    ):
        _check_accepted(method, what, net, oracle.model)


def _users(spec: Spec, line: TrainLine) -> Iterator[tuple[str, Method]]:
    """All that works on the models of a line, in words: defences, their attacks, attacks and measures."""
    for where, defence in variants_of(spec, "defence", line.defence):
        yield from _trainers(str(where["defence"]), defence)
    names = measures_of(spec, line)
    for label in dict.fromkeys(
        attack for name in names for attack in spec.entries["measures"][name].of
    ):
        yield from (
            (f"attack {label}", variant.method)
            for variant in spec.entries["attacks"][label].variants
        )
    for name in names:
        yield from (
            (f"measure {name}", variant.method)
            for variant in spec.entries["measures"][name].variants
        )


def _trainers(label: str, defence: Method) -> Iterator[tuple[str, Method]]:
    """A defence and its attacks, in words. Raises SpecError where one of these wants a target."""
    yield f"defence {label}", defence
    for attack in vars(defence).values():
        if isinstance(attack, Attack):
            if attack.wants_target:
                found = f"attack of defence {label} wants a target, and training has none"
                raise SpecError(found, path=("defence",))
            yield f"attack of defence {label}", attack


def _sketch(dataset: Dataset, model: Model, what: str) -> Any:
    import torch

    try:
        net = _light(model.deploy(model.sketch(dataset.shape, dataset.classes)))
        device = next((weight.device for weight in net.parameters()), torch.device("cpu"))
        logits = net(torch.zeros(1, *dataset.shape, device=device))
    except InvspecError as problem:
        raise SpecError(f"{what}: {problem.message}", hint=problem.hint, path=("model",)) from None
    except (
        ValueError,
        RuntimeError,
        TypeError,
        OverflowError,
    ) as problem:  # the last two: sizes past 64 bits
        found = first_line(problem)
        shape = "x".join(map(str, dataset.shape))
        raise SpecError(
            f"{what}: {found}", hint=f"its images are {shape}", path=("model",)
        ) from None
    if tuple(logits.shape) != (1, dataset.classes):
        found = f"gives {logits.shape[-1]} logits for {dataset.classes} classes"
        raise SpecError(f"{what}: {found}", path=("model",))
    return net


def _light(net: Any) -> Any:
    """A sketch with memory behind it, where that is little: meta tensors take seconds to import what they need."""
    held = [*net.parameters(), *net.buffers()]
    little = sum(tensor.numel() for tensor in held) < 2**26
    return net.to_empty(device="cpu") if little and any(tensor.is_meta for tensor in held) else net


def _check_targets(spec: Spec) -> None:
    """Attacks that walk to a target need some, and so does the last attack of a measure of pairs."""
    for label, entry in spec.entries["attacks"].items():
        wanting = any(cast(Attack, variant.method).wants_target for variant in entry.variants)
        measures = (
            name for name, measure in spec.entries["measures"].items() if label in measure.of[-1:]
        )
        wanted = [f"measure {name}" for name in measures if _pairs(spec.entries["measures"][name])]
        if entry.sample.targets is None and (wanting or wanted):
            found = f"{' and '.join([f'attack {label}'] * wanting + wanted)} needs images of other classes as targets"
            raise SpecError(
                found, hint="say `sample: {targets: {per_class: 1}}`", path=("attacks", label)
            )


def _pairs(measure: Resolved) -> bool:
    return cast(Measure, measure.variants[0].method).wants_target


def _check_accepted(method: Method, what: str, net: Any, model: str) -> None:
    wanted = method.accepts
    if wanted is not None and not isinstance(net, wanted):
        means = (wanted.__doc__ or wanted.__name__).splitlines()[0].rstrip(".")
        raise SpecError(
            f"{what} does not fit model {model}", hint=f"it needs {means[0].lower()}{means[1:]}"
        )
