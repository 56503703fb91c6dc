"""Coordinates of cells: comparison, differences and text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from pydantic import TypeAdapter, ValidationError

from invspec.kinds import Number
from invspec.spec.schema import Scalar

_NUMBER = TypeAdapter[float](Number)


# typed, as 1 and True are one key otherwise
@lru_cache(maxsize=None, typed=True)
def number(value: Scalar | None) -> float | None:
    """A coordinate as a number, also if it is text such as 8/255; None for others and bools."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return _NUMBER.validate_python(value)
    except ValidationError:
        return None


def same(first: Scalar, second: Scalar) -> bool:
    """Whether two coordinates are equal, compared as numbers if both are numbers."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    numbers = number(first), number(second)
    if numbers[0] is None or numbers[1] is None:
        return first == second
    return bool(np.isclose(numbers[0], numbers[1], rtol=1e-9, atol=0))


def matches(coords: Mapping[str, Scalar], at: Mapping[str, Scalar]) -> bool:
    """Whether a cell has all of these coordinates, with equal values."""
    return all(name in coords and same(coords[name], value) for name, value in at.items())


def varying(
    cells: Iterable[Mapping[str, Scalar]], but: Collection[str] = ()
) -> dict[str, list[Scalar | None]]:
    """The coordinates in which cells differ, with their values; None for a cell that lacks one."""
    listed = list(cells)
    names = dict.fromkeys(name for coords in listed for name in coords)
    values = {
        name: list(dict.fromkeys(coords.get(name) for coords in listed))
        for name in names
        if name not in but
    }
    return {name: distinct for name, distinct in values.items() if len(distinct) > 1}


def shown(value: Scalar | None) -> str:
    """A coordinate as text: 60, 0.1, 8/255, gcnn; empty for a missing one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    text = f"{value:.6g}"
    levels = round(value * 255)
    if float(text) != value and levels and np.isclose(value * 255, levels, rtol=1e-9):
        return f"{levels}/255"
    return text


def listing(values: Mapping[str, Sequence[Scalar | None]]) -> str:
    """Coordinates with their values, for a message: eps (0, 0.1); model (gcnn, none)."""
    return "; ".join(
        f"{name} ({', '.join(shown(value) or 'none' for value in listed)})"
        for name, listed in values.items()
    )


def without(coords: Mapping[str, Scalar], names: Collection[str]) -> dict[str, Scalar]:
    """All coordinates except those named."""
    return {name: value for name, value in coords.items() if name not in names}
