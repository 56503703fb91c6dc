"""Units of coordinates, and the distances that measures use, for tables and axes."""

from __future__ import annotations

from invspec.kinds import Measure, Method
from invspec.plan import coordinates
from invspec.registry.cards import PARTS
from invspec.spec.resolved import Spec, Variant
from invspec.spec.schema import Layout


def heading(spec: Spec, name: str) -> str:
    """A coordinate with its unit."""
    label = unit(spec, name)
    return f"{name} ({label})" if label else name


def unit(spec: Spec, name: str) -> str:
    """The unit of a coordinate: of a swept field or of a measure's rows; empty if it has none."""
    label, *steps = name.split(".")
    entries = (spec.entries[part].get(label) for part in PARTS)
    method = next((entry.variants[0].method for entry in entries if entry is not None), None)
    if steps[:1] == ["before"]:
        method, steps = _before(spec, label), steps[1:]
    for step in steps[:-1]:
        method = getattr(method, step, None)
    return method.unit_of(steps[-1]) if isinstance(method, Method) and steps else ""


def _before(spec: Spec, label: str) -> Method | None:
    """What transforms the images of an attack."""
    return spec.entries["attacks"][label].variants[0].before


def metric(spec: Spec, layout: Layout) -> str:
    """The distances that a measure uses, and its threshold unless several are shown; else empty."""
    measures = [
        variant.method
        for variant in spec.entries["measures"][layout.measure].variants
        if isinstance(variant.method, Measure) and _is_shown(variant, layout)
    ]
    metrics = dict.fromkeys(
        measure.distance_label for measure in measures if measure.distance_label
    )
    thresholds = dict.fromkeys(measure.limit_label for measure in measures if measure.limit_label)
    if not metrics:
        return ""
    return ", ".join([" or ".join(metrics), *(thresholds if len(thresholds) == 1 else ())])


def _is_shown(variant: Variant, layout: Layout) -> bool:
    """Whether a layout shows this value of a measure's sweep."""
    shared = {name: value for name, value in variant.coords.items() if name in layout.at}
    return all(coordinates.same(value, layout.at[name]) for name, value in shared.items())
