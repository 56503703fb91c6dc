"""Coordinates of cells: compare, format and check them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache

import numpy as np
from pydantic import TypeAdapter, ValidationError

from invspec.errors import SpecError, suggest
from invspec.kinds import Number as WrittenNumber
from invspec.plan.planner import Plan
from invspec.spec.schema import Scalar

Path = tuple[str | int, ...]  # where something stands in the spec


# ─ coordinates ────────────────────────────────────────────────────────────────────────────────────────────────────────

_number = TypeAdapter[float](WrittenNumber)


@cache
def number(value: Scalar | None) -> float | None:
    """A coordinate as a number, where it is one or is written as one (8/255); a bool is none."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return _number.validate_python(value)
    except ValidationError:
        return None


def same(one: Scalar, other: Scalar) -> bool:
    """Whether two coordinates are equal: as numbers where both are."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    first, second = number(one), number(other)
    if first is None or second is None:
        return one == other
    return bool(np.isclose(first, second, rtol=1e-9, atol=0))


def matches(coords: Mapping[str, Scalar], at: Mapping[str, Scalar]) -> bool:
    """Whether a cell is at a place: it has each of these coordinates, and they are equal."""
    return all(name in coords and same(coords[name], value) for name, value in at.items())


def varying(
    cells: Iterable[Mapping[str, Scalar]], but: Collection[str] = ()
) -> dict[str, list[Scalar | None]]:
    """The coordinates in which cells differ, and their values; None where a cell has no such coordinate."""
    listed = list(cells)
    names = dict.fromkeys(name for coords in listed for name in coords)
    values = {
        name: list(dict.fromkeys(coords.get(name) for coords in listed))
        for name in names
        if name not in but
    }
    return {name: found for name, found in values.items() if len(found) > 1}


def shown(value: Scalar | None) -> str:
    """A coordinate as text: 60, 0.1, 8/255, gcnn; nothing for one that a cell does not have."""
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
    """Coordinates with their values, for a message."""
    return "; ".join(
        f"{name} ({', '.join(shown(value) or 'none' for value in found)})"
        for name, found in values.items()
    )


def check_measure(planned: Plan, measure: str, path: Path) -> None:
    """Raises SpecError where no cell is of this measure."""
    known = planned.coordinates()["measure"]
    if measure not in known:
        raise SpecError(
            f"no measure {measure!r} is measured in this spec",
            hint=suggest(measure, map(str, known)),
            path=path,
        )


def check_name(name: str, known: Iterable[str], path: Path) -> None:
    """Raises SpecError where a coordinate is none of the known ones."""
    if name not in (names := list(known)):
        raise SpecError(
            f"no coordinate {name!r}", hint=suggest(name, names, "coordinates"), path=path
        )


def check_at(cells: Sequence[Mapping[str, Scalar]], at: Mapping[str, Scalar], path: Path) -> None:
    """Raises SpecError where a coordinate or a value is unknown, or where no cell has them all."""
    names = dict.fromkeys(name for coords in cells for name in coords)
    for name, wanted in at.items():
        check_name(name, names, (*path, name))
        values = list(dict.fromkeys(coords[name] for coords in cells if name in coords))
        if not any(same(value, wanted) for value in values):
            hint = f"{name} is {', '.join(map(shown, values))}"
            raise SpecError(
                f"nothing is measured at {name} {shown(wanted)}", hint=hint, path=(*path, name)
            )
    if not any(matches(coords, at) for coords in cells):
        raise SpecError(
            "no cell has all of these coordinates",
            hint="each of them exists, but not together",
            path=path,
        )
