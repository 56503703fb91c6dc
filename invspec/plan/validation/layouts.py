"""Layouts must give every cell its own place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from invspec.errors import SpecError
from invspec.kinds import Measure
from invspec.plan import coordinates
from invspec.plan.cells import Plan
from invspec.plan.layouts import (
    arrange,
    is_in,
    legend_names,
    may_be_row_coordinate,
    second_measure_layout,
)
from invspec.plan.validation.places import measure_problems, name_problems, place_problems
from invspec.plan.validation.published import published_problems
from invspec.sources import source_of
from invspec.spec.layouts import PICTURES
from invspec.spec.schema import FigureKind, Layout, Scalar

Cells = Sequence[Mapping[str, Scalar]]

# Figures to which another panel can be added.
_WITH_PANELS: tuple[FigureKind, ...] = ("profile", "beside")


def problems(planned: Plan) -> Iterator[SpecError]:
    """All problems of a spec's layouts that can be found before a run."""
    before: FigureKind | None = None
    for number, layout in enumerate(planned.spec.report):
        if layout.figure == "beside" and before not in _WITH_PANELS:
            message = f"expected a profile in the previous layout, found {before or 'no layout'}"
            hint = "`figure: profile` starts a new figure"
            yield SpecError(message, hint=hint, path=("report", number, "figure"))
        for problem in _layout_problems(planned, layout):
            yield problem.within("report", number)
        before = layout.figure


def _layout_problems(planned: Plan, layout: Layout) -> list[SpecError]:
    if unknown := list(measure_problems(planned, layout.of, ("of",))):
        return unknown
    cells = [cell.coords for cell in planned.cells if cell.coords["measure"] == layout.of]
    if unknown := list(_unknown_names(layout, cells)):
        return unknown
    inside = [coords for coords in cells if is_in(layout, coords)]
    return [
        *_shared_places(planned, layout, inside),
        *_legend_problems(planned, layout, inside),
        *_plane_problems(planned, layout, inside),
        *_picture_problems(planned, layout),
        *published_problems(layout, inside, is_computed=False),
    ]


def _unknown_names(layout: Layout, cells: Cells) -> Iterator[SpecError]:
    at = {
        name: value for name, value in layout.at.items() if not may_be_row_coordinate(layout, name)
    }
    yield from place_problems(cells, at, ("at",))
    known = dict.fromkeys(name for coords in cells for name in coords)
    for position, name in enumerate(layout.rows or ()):
        if not may_be_row_coordinate(layout, name):
            yield from name_problems(name, known, ("rows", position))
    if layout.columns is not None and not may_be_row_coordinate(layout, layout.columns):
        yield from name_problems(layout.columns, known, ("columns",))


def _shared_places(planned: Plan, layout: Layout, inside: Cells) -> Iterator[SpecError]:
    """Cells that would share a place in the table."""
    rows, columns = arrange(planned, layout, inside)
    places: dict[tuple[Scalar | None, ...], list[Mapping[str, Scalar]]] = {}
    for coords in inside:
        places.setdefault(tuple(coords.get(name) for name in (*rows, columns)), []).append(coords)
    differing: dict[str, list[Scalar | None]] = {}
    for sharing in places.values():
        differing |= coordinates.varying(sharing, but=("seed",))
    if differing:
        message = f"several cells share a place: they differ in {coordinates.listing(differing)}"
        yield SpecError(message, hint=f"add {' and '.join(differing)} to rows, or fix it with at")


def _legend_problems(planned: Plan, layout: Layout, inside: Cells) -> Iterator[SpecError]:
    if not layout.legend:
        return
    rows, columns = arrange(planned, layout, inside)
    names = legend_names(layout.legend)
    if unknown := [wrong for name in names for wrong in name_problems(name, rows, ("legend",))]:
        yield from unknown
        return
    # panels and edges of bands tell these apart without a legend
    titled = {*rows[:-2], *rows[-1:]} if layout.figure == "band" else set[str]()
    if differing := coordinates.varying(inside, {"seed", columns, *names, *titled}):
        message = f"several lines share a legend: they differ in {coordinates.listing(differing)}"
        hint = f"name {' and '.join(differing)} in braces"
        yield SpecError(message, hint=hint, path=("legend",))


def _picture_problems(planned: Plan, layout: Layout) -> Iterator[SpecError]:
    """A figure of what no score of the measure stores; of a user's class only if it says so."""
    measure = cast(Measure, planned.spec.entries["measures"][layout.of].variants[0].method)
    is_known = bool(measure.figures) or not source_of(type(measure))
    if layout.figure not in PICTURES or layout.figure in measure.figures or not is_known:
        return
    others = f"figure: {' or '.join(measure.figures)}, or " if measure.figures else ""
    yield SpecError(
        f"{layout.of} stores no {PICTURES[layout.figure]}",
        hint=f"{others}figure: none, which shows the table alone",
        path=("figure",),
    )


def _plane_problems(planned: Plan, layout: Layout, inside: Cells) -> Iterator[SpecError]:
    if layout.against is None:
        return
    rows, _ = arrange(planned, layout, inside)
    points = {tuple(coords.get(name) for name in rows) for coords in inside}
    distinct = {
        tuple(sorted(item for item in coords.items() if item[0] != "seed")) for coords in inside
    }
    if len(points) < len(distinct):
        message = (
            f"a plane shows one point per row, found {len(distinct)} cells in {len(points)} rows"
        )
        yield SpecError(message, hint="fix the columns with at", path=("at",))
        return
    for problem in _layout_problems(planned, second_measure_layout(planned, layout, rows)):
        yield problem.within("against")
