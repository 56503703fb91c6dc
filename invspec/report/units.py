"""What methods say about their own quantities: units of fields, the distance a measure uses."""

from __future__ import annotations

from invspec.kinds import Method
from invspec.plan import coordinates
from invspec.spec.resolved import Spec
from invspec.spec.schema import KINDS, Layout


def heading(spec: Spec, name: str) -> str:
    """A coordinate with its unit."""
    label = unit(spec, name)
    return f"{name} ({label})" if label else name


def unit(spec: Spec, name: str) -> str:
    """The unit of a coordinate: of a swept field or of a measure's rows; empty if it has none."""
    label, *steps = name.split(".")
    entries = (spec.entries[part].get(label) for part in KINDS)
    method = next((entry.variants[0].method for entry in entries if entry is not None), None)
    for step in steps[:-1]:
        method = getattr(method, step, None)
    return method.unit_of(steps[-1]) if isinstance(method, Method) and steps else ""


def metric(spec: Spec, layout: Layout) -> str:
    """The distance that a measure uses and its threshold, unless that is swept; else empty."""
    methods = [
        variant.method
        for variant in spec.entries["measures"][layout.of].variants
        if all(
            coordinates.same(value, layout.at.get(name, value))
            for name, value in variant.coords.items()
        )
    ]
    distances, thresholds = (
        list(dict.fromkeys(getattr(method, name) for method in methods if hasattr(method, name)))
        for name in ("distance", "max_distance")
    )
    if not distances:
        return ""
    from invspec.perceptual.distances import DISTANCES, describe

    names = [describe(name) if name in DISTANCES else str(name) for name in distances]
    only = [f"max_distance {coordinates.shown(thresholds[0])}"] if len(thresholds) == 1 else []
    return ", ".join([" or ".join(names), *only])
