"""Attacks and measures that need target images must get them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from invspec.errors import SpecError
from invspec.kinds import Attack, Measure
from invspec.spec.resolved import Resolved, Spec


def problems(spec: Spec) -> Iterator[SpecError]:
    """Attacks without targets that need them, or that a measure of pairs reads last."""
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


def _measures_of_pairs(spec: Spec, label: str) -> Iterator[str]:
    """The measures of pairs that read this attack last."""
    for name, measure in spec.entries["measures"].items():
        if label in measure.of[-1:] and _wants_target(measure):
            yield name


def _wants_target(measure: Resolved) -> bool:
    return cast(Measure, measure.variants[0].method).wants_target
