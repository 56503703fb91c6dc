"""Data sets, models and all methods that use the models must fit each other."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Iterator
from typing import Any, cast

from invspec.errors import InvspecError, SpecError, first_line
from invspec.kinds import Attack, Dataset, Method, Model
from invspec.plan.products import measures_of, takes_sweep, variants_of
from invspec.registry.messages import shown
from invspec.spec.resolved import Spec
from invspec.spec.schema import Oracle, TrainLine

# A sketch with fewer values, 256 MiB, gets memory: meta tensors need imports that take seconds.
SMALL = 2**26


def problems(spec: Spec) -> Iterator[SpecError]:
    """Methods that do not fit, located at the line of `train` that combines them.

    Builds every model once, without weights.
    """
    yield from _oracle_problems(spec)
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
        label = str(named["model"])
        try:
            net = _sketch(dataset, model, f"{label} on {where['dataset']}")
        except SpecError as problem:
            yield problem
            continue
        for user, method in _users(spec, line):
            yield from _mismatch(method, user, net, label)
            yield from _too_few_classes(method, user, dataset, str(where["dataset"]))


def _sweep_problems(spec: Spec, line: TrainLine) -> Iterator[SpecError]:
    """Measures that take a whole sweep need an attack that has one."""
    for name in measures_of(spec, line):
        measure = spec.entries["measures"][name]
        if takes_sweep(measure) and len(spec.entries["attacks"][measure.of[0]].variants) < 2:
            message = f"measure {name} needs a sweep, found none in attack {measure.of[0]}"
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
    uses = {
        (name, label): None
        for line in spec.train
        for name in measures_of(spec, line)
        for label in line.dataset
    }
    for name, label in uses:
        if (oracle := spec.entries["measures"][name].oracle) is None:
            continue
        for variant in spec.entries["datasets"][label].variants:
            dataset = cast(Dataset, variant.method)
            for problem in _oracle_mismatches(spec, oracle, dataset, label):
                message = f"the oracle of measure {name}: {problem.message}"
                yield SpecError(message, hint=problem.hint, path=("measures", name, "oracle"))


def _oracle_mismatches(
    spec: Spec, oracle: Oracle, dataset: Dataset, label: str
) -> Iterator[SpecError]:
    model = cast(Model, spec.entries["models"][oracle.model].variants[0].method)
    defence = spec.entries["defences"][oracle.defence].variants[0].method
    try:
        net = _sketch(dataset, model, f"{oracle.model} on {label}")
    except SpecError as problem:
        yield problem
        return
    if _wants_target(defence):
        yield _no_target(oracle.defence)
    for user, method in _trainers(oracle.defence, defence):
        yield from _mismatch(method, user, net, oracle.model)
        yield from _too_few_classes(method, user, dataset, label)


def _users(spec: Spec, line: TrainLine) -> Iterator[tuple[str, Method]]:
    """Every method that uses the models of a line, with its name in messages."""
    for where, defence in variants_of(spec, "defence", line.defence):
        yield from _trainers(str(where["defence"]), defence)
    names = measures_of(spec, line)
    attacks = (label for name in names for label in spec.entries["measures"][name].of)
    for part, noun, labels in (("attacks", "attack", attacks), ("measures", "measure", names)):
        for label in dict.fromkeys(labels):
            for variant in spec.entries[part][label].variants:
                yield f"{noun} {label}", variant.method


def _trainers(label: str, defence: Method) -> Iterator[tuple[str, Method]]:
    """A defence and its attacks, with their names in messages."""
    yield f"defence {label}", defence
    for attack in _attacks_in(defence):
        yield f"attack of defence {label}", attack


def _attacks_in(defence: Method) -> Iterator[Attack]:
    return (value for value in vars(defence).values() if isinstance(value, Attack))


def _sketch(dataset: Dataset, model: Model, name: str) -> Any:
    """The model for this data set, without weights. Raises: SpecError if it cannot be built."""
    shape = "x".join(map(str, dataset.shape))
    try:
        net = _in_memory(model.deploy(_built(model, dataset)))
        logits = _logits(net, dataset)
    except SpecError as problem:
        raise SpecError(f"{name}: {problem.message}", hint=problem.hint, path=("model",)) from None
    except InvspecError as problem:
        raise SpecError(f"{name}: {problem.message}", hint=problem.hint, path=("model",)) from None
    except (ValueError, RuntimeError, TypeError, OverflowError) as problem:
        # torch raises the last two for sizes past 64 bits
        message = f"{name}: {first_line(problem)}"
        raise SpecError(message, hint=f"its images are {shape}", path=("model",)) from None
    except Exception as problem:
        # the code of a user's model can raise anything
        last = traceback.extract_tb(problem.__traceback__)[-1]
        message = f"{name}: {type(problem).__name__}: {first_line(problem)}"
        hint = f"raised in {last.filename}:{last.lineno}"
        raise SpecError(message, hint=hint, path=("model",)) from None
    if tuple(logits.shape) != (1, dataset.classes):
        classes = dataset.classes
        message = f"{name}: expected {classes} logits, one per class, found {logits.shape[-1]}"
        raise SpecError(message, path=("model",))
    return net


def _built(model: Model, dataset: Dataset) -> Any:
    """The net that a model builds. Raises: SpecError if it is not a net."""
    import torch

    net: Any = model.sketch(dataset.shape, dataset.classes)
    if isinstance(net, torch.nn.Module):
        return net
    message = f"{type(model).__name__}.build returned {shown(net)}, expected a torch.nn.Module"
    raise SpecError(message, hint="end build with `return net`")


def _logits(net: Any, dataset: Dataset) -> Any:
    """The net's logits for one black image. Raises: SpecError if they are not a matrix."""
    import torch

    device = next((weight.device for weight in net.parameters()), torch.device("cpu"))
    logits: Any = net(torch.zeros(1, *dataset.shape, device=device))
    if isinstance(logits, torch.Tensor) and logits.ndim == 2:
        return logits
    output = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else shown(logits)
    message = f"forward returned {output}, expected logits of shape (B, {dataset.classes})"
    raise SpecError(message, hint="return one row of logits per image")


def _in_memory(net: Any) -> Any:
    """A small sketch in memory; a large one stays on the meta device."""
    tensors = [*net.parameters(), *net.buffers()]
    small = sum(tensor.numel() for tensor in tensors) < SMALL
    return net.to_empty(device="cpu") if small and any(map(_is_meta, tensors)) else net


def _is_meta(tensor: Any) -> bool:
    return tensor.is_meta


def _mismatch(method: Method, user: str, net: Any, model: str) -> Iterator[SpecError]:
    """The error if a model lacks what a method needs."""
    protocol = method.accepts
    if protocol is not None and not isinstance(net, protocol):
        meaning = (protocol.__doc__ or protocol.__name__).splitlines()[0].rstrip(".")
        hint = f"it needs {meaning[0].lower()}{meaning[1:]}"
        yield SpecError(f"{user} does not fit model {model}", hint=hint)


def _too_few_classes(
    method: Method, user: str, dataset: Dataset, label: str
) -> Iterator[SpecError]:
    """The error if an attack compares more classes than the data have."""
    if isinstance(method, Attack) and method.least_classes > dataset.classes:
        found = f"{label} has {dataset.classes}"
        message = f"{user} needs at least {method.least_classes} classes, {found}"
        hint = "choose another attack" + (", or loss: ce" if hasattr(method, "loss") else "")
        yield SpecError(message, hint=hint)
