"""The cells that a claim selects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from invspec.plan import coordinates
from invspec.spec.schema import Compare, Coords, Pick, Scalar, Trend

CellCoords = Mapping[str, Scalar]
Cells = Iterable[CellCoords]


def sides(pick: Pick) -> dict[str, Coords]:
    """The places that a pick compares, by key: `of` and `to`; other picks have one, `at`."""
    if isinstance(pick, Compare):
        return {"of": pick.of, "to": pick.to}
    return {"at": {}}


def axes(pick: Pick) -> tuple[str, ...]:
    """The coordinates that a pick is reduced over and, last, the one that a trend runs along."""
    return (*pick.over, pick.along) if isinstance(pick, Trend) else tuple(pick.over)


def has(coords: Mapping[str, Scalar], names: Iterable[str]) -> bool:
    """Whether a cell has all of these coordinates; one that lacks some is not on those axes."""
    return all(name in coords for name in names)


def row_names(pick: Pick, cells: Sequence[Mapping[str, Scalar]]) -> set[str]:
    """The coordinates in a pick that only the rows of its measure can have.

    The rows of a measure are unknown before it is computed, so any such name may be right.
    """
    names = {*pick.at, *axes(pick), *(name for side in sides(pick).values() for name in side)}
    known = {name for coords in cells for name in coords}
    return {name for name in names if name.startswith(f"{pick.measure}.")} - known


def at_side(pick: Pick, key: str, cells: Cells, unknown: Collection[str]) -> list[CellCoords]:
    """The cells at one side of a pick; coordinates with unknown names are ignored."""
    place = coordinates.without({**pick.at, **sides(pick)[key]}, unknown)
    return [coords for coords in cells if coordinates.matches(coords, place)]
