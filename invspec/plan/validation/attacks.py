"""Several attacks in place of one must fit each other, and so must attacks and their sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from invspec.errors import SpecError, suggest
from invspec.kinds import Attack, GeneratorTraining, Model
from invspec.plan import alignment, coordinates
from invspec.plan.products import is_worst_case
from invspec.spec.document import Steps
from invspec.spec.resolved import Resolved, Spec
from invspec.spec.schema import Net

# Fields that say which set of images an attack searches, with the value of an attack that has none.
SEARCHED: dict[str, Any] = {"eps": None, "norm": None, "eps_space": "pixel"}


def problems(spec: Spec) -> Iterator[SpecError]:
    """Problems of transfer attacks and of measures that read several attacks; labels are known."""
    for label, attack in spec.entries["attacks"].items():
        if attack.source is not None:
            yield from net_problems(spec, attack.source, "source", ("attacks", label, "from"))
    for label, measure in spec.entries["measures"].items():
        path = ("measures", label)
        if is_worst_case(measure):
            yield from _worst_case_problems(spec, measure, path)
        elif measure.union:
            message = "`union` is for several attacks in place of one"
            yield SpecError(message, hint="remove it", path=(*path, "union"))
        if measure.correct_in_all:
            at = (*path, "correct_in_all")
            yield from _sample_problems(spec, measure, "`correct_in_all` needs", at)


def net_problems(spec: Spec, net: Net, noun: str, path: Steps) -> Iterator[SpecError]:
    """A net that a spec names must be one model with one training.

    A generator makes images; an oracle, a source and a feature net make logits.
    """
    for part, label in (("model", net.model), ("defence", net.defence)):
        entries = spec.entries[part + "s"]
        if label not in entries:
            message = f"no {part} has the label {label!r} in this spec"
            yield SpecError(message, hint=suggest(label, entries), path=(*path, part))
        elif len(entries[label].variants) > 1:
            article = "an" if noun[0] in "aeiou" else "a"
            message = f"{article} {noun} must be one model; {part} {label} is swept"
            hint = f"add a {part} without a sweep for the {noun}"
            yield SpecError(message, hint=hint, path=(*path, part))
        elif _makes_images(entries[label]) != (noun == "generator"):
            wanted, own = ("images", "logits") if noun == "generator" else ("logits", "images")
            does = f"makes {own}" if part == "model" else f"trains models that make {own}"
            message = f"the {noun} must make {wanted}; {part} {label} {does}"
            yield SpecError(message, path=(*path, part))


def _makes_images(entry: Resolved) -> bool:
    """Whether a model makes images, or a defence trains one that does."""
    method = entry.variants[0].method
    if isinstance(method, Model):
        return method.makes == "images"
    return isinstance(method, GeneratorTraining)


def _worst_case_problems(spec: Spec, measure: Resolved, path: Steps) -> Iterator[SpecError]:
    at = (*path, "of")
    yield from _repeated_labels(measure, at)
    yield from _sample_problems(spec, measure, "the worst case over attacks needs", at)
    attacks = {label: spec.entries["attacks"][label] for label in measure.of}
    wrong = list(_sweep_problems(attacks, at))
    yield from wrong
    if not wrong and not measure.union:
        yield from _set_problems(attacks, at)


def _repeated_labels(measure: Resolved, path: Steps) -> Iterator[SpecError]:
    for label in dict.fromkeys(measure.of):
        if measure.of.count(label) > 1:
            yield SpecError(f"duplicate attack {label}", hint="remove it", path=path)


def _sample_problems(spec: Spec, measure: Resolved, need: str, path: Steps) -> Iterator[SpecError]:
    first, *others = measure.of
    attacks = spec.entries["attacks"]
    for label in others:
        if attacks[label].sample != attacks[first].sample:
            message = f"{need} one sample, found different ones in {first} and {label}"
            yield SpecError(message, hint="give these attacks equal samples", path=path)
            return
        if _transforms(attacks[label]) != _transforms(attacks[first]):
            message = f"{need} the same images, found different `before` in {first} and {label}"
            yield SpecError(message, hint="give these attacks equal `before`", path=path)
            return


def _transforms(attack: Resolved) -> set[Attack | None]:
    """What transforms the images of an attack, over its sweep."""
    return {variant.before for variant in attack.variants}  # pyright: ignore[reportUnhashable]  # frozen


def _sweep_problems(attacks: dict[str, Resolved], path: Steps) -> Iterator[SpecError]:
    """A field that several attacks sweep must have the same values in all of them."""
    for field, swept in alignment.axes(list(attacks.values())).items():
        labels = [label for label, attack in attacks.items() if f"{label}.{field}" in attack.coords]
        for label, values in zip(labels[1:], swept[1:], strict=True):
            if not alignment.are_equal(swept[0], values):
                found = f"{labels[0]} ({_listed(swept[0])}), {label} ({_listed(values)})"
                message = f"expected equal sweeps of {field}, found {found}"
                hint = "sweep the same values: the worst case is taken at each of them"
                yield SpecError(message, hint=hint, path=path)


def _set_problems(attacks: dict[str, Resolved], path: Steps) -> Iterator[SpecError]:
    """Attacks must search the same set of images, such as the same ball."""
    for field, missing in _searched(attacks).items():
        values = {label: _values(attack, field, missing) for label, attack in attacks.items()}
        first, *others = values.values()
        if all(_equal(first, other) for other in others):
            continue
        values_of = "; ".join(f"{label} {_listed(list(shown))}" for label, shown in values.items())
        message = f"expected attacks that search the same set, found different {field}: {values_of}"
        hint = (
            "a measure of several attacks scores the worst of them: write a measure for each, or "
            "`union: true` for the worst over all of their sets"
        )
        yield SpecError(message, hint=hint, path=path)
        return


def _searched(attacks: dict[str, Resolved]) -> dict[str, Any]:
    methods = (cast(Attack, attack.variants[0].method) for attack in attacks.values())
    swept = {method.sweep_field: None for method in methods if method.sweep_field}
    return {**swept, **SEARCHED}


def _values(attack: Resolved, field: str, missing: Any) -> tuple[Any, ...]:
    """The values of a field in the variants of an attack."""
    methods = (variant.method for variant in attack.variants)
    return tuple(dict.fromkeys(getattr(method, field, missing) for method in methods))


def _equal(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return set(first) == set(second)


def _listed(values: Sequence[Any]) -> str:
    return ", ".join("none" if value is None else coordinates.shown(value) for value in values)
