"""Attacks and measures that need target images must get them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from invspec.errors import SpecError
from invspec.kinds import Attack, Measure
from invspec.spec.resolved import Resolved, Spec, Variant


def problems(spec: Spec) -> Iterator[SpecError]:
    """Attacks without the targets that they need, or that a measure needs which reads them last."""
    yield from _without_targets(spec)
    yield from _with_one_target_of_a_class(spec)


def _without_targets(spec: Spec) -> Iterator[SpecError]:
    for label, entry in spec.entries["attacks"].items():
        if entry.sample.targets is not None:
            continue
        users = [f"measure {name}" for name in _measures_of_pairs(spec, label)]
        if any(cast(Attack, variant.method).wants_target for variant in entry.variants):
            users.insert(0, f"attack {label}")
        if users:
            need = "need" if len(users) > 1 else "needs"
            message = (
                f"{' and '.join(users)} {need} target images of other classes, found no targets"
            )
            hint = "write `sample: {targets: {per_class: 1}}`"
            yield SpecError(message, hint=hint, path=("attacks", label))


def _with_one_target_of_a_class(spec: Spec) -> Iterator[SpecError]:
    for name, measure in spec.entries["measures"].items():
        targets = spec.entries["attacks"][measure.of[-1]].sample.targets
        if targets is None or not any(map(_wants_several_targets, measure.variants)):
            continue
        if targets.per_class == 1 or targets.nth_of_class is not None:
            message = (
                f"measure {name} compares the targets of a class, "
                f"found one of each class in attack {measure.of[-1]}"
            )
            hint = "write `sample: {targets: {per_class: 2}}`, or more"
            yield SpecError(message, hint=hint, path=("measures", name))


def _wants_several_targets(variant: Variant) -> bool:
    return cast(Measure, variant.method).wants_several_targets


def _measures_of_pairs(spec: Spec, label: str) -> Iterator[str]:
    """The measures of pairs that read this attack last."""
    for name, measure in spec.entries["measures"].items():
        if label in measure.of[-1:] and _wants_target(measure):
            yield name


def _wants_target(measure: Resolved) -> bool:
    return cast(Measure, measure.variants[0].method).wants_target
