"""Several attacks in place of one: which values of their sweeps belong together.

Attacks that sweep fields of one name have one axis in common, on which the field has the same value
in all of them. It is called after the first of these attacks, like pgd.eps. Every other swept field
is an axis of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from invspec.plan import coordinates
from invspec.spec.resolved import Resolved, Variant
from invspec.spec.schema import Coords, Scalar

# what one combination of variants shares: swept fields, without the labels of the attacks
Shared = dict[str, Scalar]


def field_of(coordinate: str) -> str:
    """The swept field of a coordinate: eps of pgd.eps."""
    return coordinate.partition(".")[2]


def axes(attacks: Sequence[Resolved]) -> dict[str, list[list[Scalar]]]:
    """The swept fields and, for each attack that sweeps one, its values in the order of the spec.

    A field that several attacks sweep is one axis.
    """
    values: dict[str, list[list[Scalar]]] = {}
    for attack in attacks:
        for name in attack.coords:
            own = dict.fromkeys(variant.coords[name] for variant in attack.variants)
            values.setdefault(field_of(name), []).append(list(own))
    return values


def are_equal(first: Sequence[Scalar], second: Sequence[Scalar]) -> bool:
    """Whether two sweeps have the same values, in whatever order."""
    return len(first) == len(second) and all(
        any(coordinates.same(value, other) for other in second) for value in first
    )


def count(attacks: Sequence[Resolved]) -> int:
    """The number of combinations of attacks whose axes are equal."""
    return math.prod(len(values[0]) for values in axes(attacks).values())


def combinations(attacks: Sequence[Resolved]) -> list[tuple[Variant, ...]]:
    """The combinations of variants, one of each attack, in which shared fields have one value."""
    combined: list[tuple[tuple[Variant, ...], Shared]] = [((), {})]
    for attack in attacks:
        combined = [
            ((*chosen, variant), shared | _fields(variant))
            for chosen, shared in combined
            for variant in attack.variants
            if _agree(shared, _fields(variant))
        ]
    return [chosen for chosen, _ in combined]


def joined(variants: Sequence[Variant]) -> Coords:
    """The coordinates of a combination: those of the first attack that sweeps each field."""
    coords: Coords = {}
    known: set[str] = set()
    for variant in variants:
        own = {name: at for name, at in variant.coords.items() if field_of(name) not in known}
        coords |= own
        known |= {field_of(name) for name in own}
    return coords


def _fields(variant: Variant) -> Shared:
    return {field_of(name): value for name, value in variant.coords.items()}


def _agree(first: Shared, second: Shared) -> bool:
    return all(coordinates.same(first[name], second[name]) for name in first.keys() & second)
