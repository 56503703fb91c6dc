"""How a layout arranges the cells of its measure in rows and columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from invspec.kinds import Measure
from invspec.ops.types import SHARES
from invspec.plan import coordinates
from invspec.plan.cells import Plan
from invspec.spec.layouts import NO_COLUMNS
from invspec.spec.resolved import Spec
from invspec.spec.schema import Layout, Scalar


def layouts(planned: Plan) -> tuple[Layout, ...]:
    """The layouts of the spec.

    Without any, measures that have one number for a net share a table, and each of the others has
    its own.
    """
    if planned.spec.report:
        return planned.spec.report
    measures = tuple(map(str, planned.coordinates().get("measure", ())))
    scalar = tuple(name for name in measures if _is_scalar(planned, name))
    if len(scalar) < 2:
        return tuple(Layout(of=(name,)) for name in measures)
    others = (Layout(of=(name,)) for name in measures if name not in scalar)
    return Layout(of=scalar), *others


def _is_scalar(planned: Plan, measure: str) -> bool:
    """Whether nothing but nets distinguishes the cells of a measure, and it has no pictures."""
    entry = planned.spec.entries["measures"][measure]
    pictures = cast(Measure, entry.variants[0].method).figures
    cells = [cell.coords for cell in planned.cells if cell.coords["measure"] == measure]
    return not pictures and not _across(planned.spec, measure, cells)


def parts(
    planned: Plan, layout: Layout, cells: Sequence[Mapping[str, Scalar]]
) -> tuple[Layout, ...]:
    """A layout for each measure of a layout, with the rows that they share; cells are all cells."""
    if layout.against is not None:
        rows, _ = arrange(planned, layout, [coords for coords in cells if is_in(layout, coords)])
        return layout, _second_measure(planned, layout, rows)
    if len(layout.of) == 1:
        return (layout,)
    alone = [_part(planned, layout, measure) for measure in layout.of]
    rows = layout.rows
    if rows is None:
        within = [[coords for coords in cells if is_in(part, coords)] for part in alone]
        arranged = [arrange(planned, *pair)[0] for pair in zip(alone, within, strict=True)]
        rows = tuple(dict.fromkeys(name for names in arranged for name in names))
    shared = {"rows": rows, "figure": layout.drawn}
    return tuple(part.model_copy(update=shared) for part in alone)


def _part(planned: Plan, layout: Layout, measure: str) -> Layout:
    """What a layout of several measures says of one of them."""
    known = planned.coordinates(measure)
    part = Layout(of=(measure,))
    at = {
        name: value
        for name, value in layout.at.items()
        if name in known or may_be_row_coordinate(part, name)
    }
    listed = [name for name in layout.columns or () if name in known]
    cells = [cell.coords for cell in planned.cells if is_in(part, cell.coords)]
    taken = (*at, *(layout.rows or ()))
    if NO_COLUMNS in (layout.columns or ()):
        across = None
    else:
        across = listed[0] if listed else _across(planned.spec, measure, cells, taken)
    update = {"at": at, "rows": layout.rows, "columns": (across or NO_COLUMNS,)}
    return layout.model_copy(update={**update, "of": (measure,)})


def _across(
    spec: Spec, measure: str, cells: Sequence[Mapping[str, Scalar]], taken: Sequence[str] = ()
) -> str | None:
    """The coordinate that runs across where nets run down: the last swept one, or the attack."""
    return _first_varying((*_swept(spec, measure), "attack"), cells, taken)


def _swept(spec: Spec, measure: str) -> tuple[str, ...]:
    """The swept coordinates of a measure's attacks and of the measure itself, the last first."""
    entry = spec.entries["measures"][measure]
    of_attacks = [name for attack in entry.of for name in spec.entries["attacks"][attack].coords]
    return *reversed(of_attacks), *reversed(entry.coords)


def _first_varying(
    names: Iterable[str], cells: Sequence[Mapping[str, Scalar]], taken: Sequence[str]
) -> str | None:
    """The first of some coordinates in which cells differ and that is not taken."""
    differing = coordinates.varying(cells)
    return next((name for name in names if name in differing and name not in taken), None)


def legend_names(legend: str | None) -> list[str]:
    """The coordinates in the braces of a legend's text."""
    return re.findall(r"{([^{}]*)}", legend or "")


def may_be_row_coordinate(layout: Layout, name: str) -> bool:
    """Whether a name may be a coordinate of the measure's rows, unknown until a score exists."""
    return any(name.startswith(f"{measure}.") for measure in layout.of)


def is_in(layout: Layout, coords: Mapping[str, Scalar]) -> bool:
    """Whether a layout shows a cell."""
    at = {
        name: value
        for name, value in layout.at.items()
        if name in coords or not may_be_row_coordinate(layout, name)
    }
    return coordinates.matches(coords, {"measure": layout.measure, **at})


def arrange(
    planned: Plan, layout: Layout, cells: Sequence[Mapping[str, Scalar]]
) -> tuple[tuple[str, ...], str | None]:
    """The coordinates that run down in a table of one measure, and the one that runs across.

    None runs across where the layout says so, or if cells differ in no more. Coordinates that
    distinguish the rows of a measure always run down.
    """
    columns = _columns(planned.spec, layout, cells)
    differing = coordinates.varying(cells, but=("seed", "measure", columns or ""))
    rows = tuple(differing) if layout.rows is None else layout.rows
    known = planned.coordinates(layout.measure)
    row_coordinates = (name for name in differing if name not in known and name not in rows)
    return (*rows, *row_coordinates), columns


def _columns(spec: Spec, layout: Layout, cells: Sequence[Mapping[str, Scalar]]) -> str | None:
    """What the layout says; else the last that is swept, else the model or the attack."""
    if layout.columns is not None:
        (name,) = layout.columns
        return None if name == NO_COLUMNS else name
    names = (*_swept(spec, layout.measure), "model", "attack")
    return _first_varying(names, cells, layout.rows or ())


def _second_measure(planned: Plan, layout: Layout, rows: tuple[str, ...]) -> Layout:
    """The layout of a plane's second measure: the same rows, and the same `at` where it applies."""
    assert layout.against is not None, "only a plane has a second measure"
    known = planned.coordinates(layout.against.of)
    at = {name: value for name, value in layout.at.items() if name in known}
    update = {
        "of": (layout.against.of,),
        "at": at | layout.against.at,
        "rows": rows,
        "columns": (NO_COLUMNS,),
        "figure": "none",
        "against": None,
    }
    return layout.model_copy(update=update)


def is_share(spec: Spec, measure: str) -> bool:
    """Whether the numbers of a measure are shares, which can be shown in per cent."""
    variants = spec.entries["measures"][measure].variants
    return all(cast(Measure, variant.method).range_of() == SHARES for variant in variants)
