"""Labels must name entries of the spec, and measures must get the attacks and oracle they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from invspec.errors import SpecError, suggest
from invspec.kinds import Measure
from invspec.plan.products import is_worst_case
from invspec.plan.validation.attacks import net_problems
from invspec.registry.cards import PARTS
from invspec.spec.document import Steps
from invspec.spec.resolved import Resolved, Spec


def problems(spec: Spec) -> Iterator[SpecError]:
    """All problems that prevent expanding a spec into cells."""
    for label, measure in spec.entries["measures"].items():
        yield from _measure_problems(spec, label, measure)
    yield from _train_problems(spec)
    yield from _shared_labels(spec)


def _measure_problems(spec: Spec, label: str, measure: Resolved) -> Iterator[SpecError]:
    path = ("measures", label)
    method = cast(Measure, measure.variants[0].method)
    least, most = method.takes
    if not (
        least <= len(measure.of) <= most or (is_worst_case(measure) and method.has_worst_case())
    ):
        count = f"{least}" if least == most else f"{least} to {most}"
        noun = "attack" if most == 1 else "attacks"
        message = f"{type(method).__name__} takes {count} {noun}, found {len(measure.of)}"
        hint = "write `of: [label of an attack]`"
        if is_worst_case(measure):
            hint = "measure them one by one: it has no worst case over several attacks"
        yield SpecError(message, hint=hint, path=(*path, "of") if measure.of else path)
    for attack in dict.fromkeys(measure.of):
        yield from _unknown(attack, spec.entries["attacks"], "attack", (*path, "of"))
    if measure.oracle is not None and method.wants_oracle:
        yield from net_problems(spec, measure.oracle, "oracle", (*path, "oracle"))
    elif measure.oracle is not None:
        message = f"{type(method).__name__} takes no oracle"
        yield SpecError(message, hint="remove it", path=(*path, "oracle"))
    elif method.wants_oracle:
        hint = "write `oracle: {model: label, defence: label}`, a second classifier as ground truth"
        yield SpecError(f"{type(method).__name__} needs an oracle", hint=hint, path=path)


def _train_problems(spec: Spec) -> Iterator[SpecError]:
    for number, line in enumerate(spec.train):
        labels = {
            "dataset": line.dataset,
            "model": line.model,
            "defence": line.defence,
            "measures": line.measures or (),
        }
        for field, listed in labels.items():
            noun = field.removesuffix("s")
            for label in dict.fromkeys(listed):
                yield from _unknown(label, spec.entries[noun + "s"], noun, ("train", number, field))


def _shared_labels(spec: Spec) -> Iterator[SpecError]:
    """Swept entries of two parts with the same label: their coordinates would share a name."""
    part_of: dict[str, str] = {}
    for part in PARTS:
        for label, entry in spec.entries[part].items():
            if entry.coords and label in part_of:
                message = f"the label {label!r} is used for swept {part_of[label]} and swept {part}"
                yield SpecError(message, hint="give one of them another label", path=(part, label))
            if entry.coords:
                part_of.setdefault(label, part)


def _unknown(label: str, known: Iterable[str], noun: str, path: Steps) -> Iterator[SpecError]:
    """A label that no entry has."""
    if label not in (labels := list(known)):
        message = f"no {noun} has the label {label!r} in this spec"
        yield SpecError(message, hint=suggest(label, labels), path=path)
