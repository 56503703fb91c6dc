"""The paper's number for a cell of a table must name exactly one cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from invspec.errors import SpecError
from invspec.plan import coordinates
from invspec.plan.layouts import may_be_row_coordinate
from invspec.plan.validation.places import place_problems
from invspec.spec.document import Steps
from invspec.spec.schema import Layout, Scalar

Cells = Sequence[Mapping[str, Scalar]]


def published_problems(
    layout: Layout, cells: Cells, *, is_computed: bool = True
) -> Iterator[SpecError]:
    """What is wrong with the coordinates of a layout's published numbers; cells are the layout's.

    Before the measure is computed, coordinates that only its rows can have are not checked.
    """
    if layout.published is None:
        return
    known = {name for coords in cells for name in coords}
    before: dict[frozenset[tuple[str, Scalar | None]], Steps] = {}
    for path, cell in layout.published.written_out.items():
        where = ("published", *path, "at") if path[0] == "cells" else ("published", *path)
        unknown = {
            name
            for name in cell.at
            if not is_computed and name not in known and may_be_row_coordinate(layout, name)
        }
        at = coordinates.without(cell.at, unknown)
        if wrong := list(place_problems(cells, at, where)):
            yield from wrong
            continue
        there = [coords for coords in cells if coordinates.matches(coords, at)]
        if differing := coordinates.varying(there, but=("seed",)):
            message = f"several cells match, with {coordinates.listing(differing)}"
            hint = f"give {' and '.join(differing)}, too"
            yield SpecError(message, hint=hint, path=where)
            continue
        known_place = coordinates.without(there[0], {"seed"})
        place = frozenset({**known_place, **{name: str(cell.at[name]) for name in unknown}}.items())
        if place in before:
            other = ".".join(map(str, before[place]))
            message = f"the paper's number for this cell is given twice, here and at {other}"
            yield SpecError(message, hint="keep one", path=where)
        before.setdefault(place, where)
