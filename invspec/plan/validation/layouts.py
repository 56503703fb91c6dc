"""Layouts must give every cell its own place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from invspec.errors import SpecError, suggest
from invspec.kinds import Measure
from invspec.ops.types import SHARES
from invspec.plan import coordinates
from invspec.plan.cells import Plan
from invspec.plan.layouts import (
    arrange,
    is_in,
    is_share,
    legend_names,
    may_be_row_coordinate,
    parts,
)
from invspec.plan.validation.places import measure_problems, name_problems, place_problems
from invspec.plan.validation.published import published_problems
from invspec.plan.validation.ranges import range_at
from invspec.sources import source_of
from invspec.spec.layouts import NO_COLUMNS, PICTURES
from invspec.spec.schema import FigureKind, Layout, Scalar

Cells = Sequence[Mapping[str, Scalar]]

# Figures to which another panel can be added.
_WITH_PANELS: tuple[FigureKind, ...] = ("profile", "beside")


def problems(planned: Plan) -> Iterator[SpecError]:
    """All problems of a spec's layouts that can be found before a run."""
    before: FigureKind | None = None
    for number, layout in enumerate(planned.spec.report):
        if layout.drawn == "beside" and before not in _WITH_PANELS:
            message = f"expected a profile in the previous layout, found {before or 'no layout'}"
            hint = "`figure: profile` starts a new figure"
            yield SpecError(message, hint=hint, path=("report", number, "figure"))
        for problem in _layout_problems(planned, layout):
            yield problem.within("report", number)
        before = layout.drawn


def _layout_problems(planned: Plan, layout: Layout) -> list[SpecError]:
    if unknown := list(_unknown_measures(planned, layout)):
        return unknown
    cells = [cell.coords for cell in planned.cells if cell.coords["measure"] in layout.of]
    if unknown := list(_unknown_names(layout, cells)):
        return unknown
    if layout.against is not None and (wrong := list(_plane_problems(planned, layout, cells))):
        return wrong
    return [
        *_style_problems(planned, layout),
        *(
            problem
            for part in parts(planned, layout, [cell.coords for cell in planned.cells])
            for problem in _part_problems(planned, part)
        ),
    ]


def _part_problems(planned: Plan, layout: Layout) -> Iterator[SpecError]:
    """The problems of a layout of one measure, whose coordinates are known."""
    inside = [cell.coords for cell in planned.cells if is_in(layout, cell.coords)]
    yield from _shared_places(planned, layout, inside)
    yield from _legend_problems(planned, layout, inside)
    yield from _picture_problems(planned, layout)
    yield from _band_problems(planned, layout, inside)
    yield from published_problems(layout, inside, is_computed=False)
    yield from _impossible_numbers(planned, layout)


def _unknown_measures(planned: Plan, layout: Layout) -> Iterator[SpecError]:
    for place, measure in enumerate(layout.of):
        path = ("of", place) if len(layout.of) > 1 else ("of",)
        yield from measure_problems(planned, measure, path)


def _unknown_names(layout: Layout, cells: Cells) -> Iterator[SpecError]:
    at = {
        name: value for name, value in layout.at.items() if not may_be_row_coordinate(layout, name)
    }
    # what is fixed of one measure is no place of another
    places = [{name: value} for name, value in at.items()] if len(layout.of) > 1 else [at]
    for place in places:
        yield from place_problems(cells, place, ("at",))
    known = dict.fromkeys(name for coords in cells for name in coords)
    for position, name in enumerate(layout.rows or ()):
        if not may_be_row_coordinate(layout, name):
            yield from name_problems(name, known, ("rows", position))
    yield from _column_problems(layout, known)


def _column_problems(layout: Layout, known: Iterable[str]) -> Iterator[SpecError]:
    names = layout.columns or ()
    if len(names) > 1 and (len(layout.of) == 1 or NO_COLUMNS in names):
        message = f"expected one coordinate, found {', '.join(names)}"
        hint = "what else distinguishes the cells runs down, in rows"
        yield SpecError(message, hint=hint, path=("columns",))
        return
    for position, name in enumerate(names):
        path = ("columns", position) if len(names) > 1 else ("columns",)
        if name != NO_COLUMNS and not may_be_row_coordinate(layout, name):
            yield from name_problems(name, known, path)


def _style_problems(planned: Plan, layout: Layout) -> Iterator[SpecError]:
    """Options of numbers that fit no measure of a layout."""
    shares = [name for name in layout.of if is_share(planned.spec, name)]
    if layout.percent and not shares:
        message = f"{' and '.join(layout.of)} {'is' if len(layout.of) == 1 else 'are'} no share"
        hint = "only numbers that are always from 0 to 1 are shown in per cent"
        yield SpecError(message, hint=hint, path=("percent",))
    for name in layout.best if isinstance(layout.best, dict) else ():
        if name not in layout.of:
            hint = suggest(name, layout.of, "measures of this table")
            yield SpecError(f"no measure {name!r} here", hint=hint, path=("best", name))


def _shared_places(planned: Plan, layout: Layout, inside: Cells) -> Iterator[SpecError]:
    """Cells that would share a place in the table."""
    rows, columns = arrange(planned, layout, inside)
    names = (*rows, *([] if columns is None else [columns]))
    places: dict[tuple[Scalar | None, ...], list[Mapping[str, Scalar]]] = {}
    for coords in inside:
        places.setdefault(tuple(coords.get(name) for name in names), []).append(coords)
    differing: dict[str, list[Scalar | None]] = {}
    for sharing in places.values():
        differing |= coordinates.varying(sharing, but=("seed",))
    if differing:
        message = f"several cells share a place: they differ in {coordinates.listing(differing)}"
        yield SpecError(
            message, hint=f"add {' and '.join(differing)} to rows, or choose one with at"
        )


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
    if differing := coordinates.varying(inside, {"seed", columns or "", *names, *titled}):
        message = f"several lines share a legend: they differ in {coordinates.listing(differing)}"
        hint = f"name {' and '.join(differing)} in braces"
        yield SpecError(message, hint=hint, path=("legend",))


def _picture_problems(planned: Plan, layout: Layout) -> Iterator[SpecError]:
    """A figure of what no score of the measure stores; of a user's class only if it says so."""
    measure = cast(Measure, planned.spec.entries["measures"][layout.measure].variants[0].method)
    is_known = bool(measure.figures) or not source_of(type(measure))
    if layout.drawn not in PICTURES or layout.drawn in measure.figures or not is_known:
        return
    others = f"figure: {' or '.join(measure.figures)}, or " if measure.figures else ""
    yield SpecError(
        f"{layout.measure} stores no {PICTURES[layout.drawn]}",
        hint=f"{others}figure: none, which shows the table alone",
        path=("figure",),
    )


def _band_problems(planned: Plan, layout: Layout, inside: Cells) -> Iterator[SpecError]:
    """A band without at least two numbers along its columns; rows may give them after a run."""
    if layout.drawn != "band" or planned.spec.is_smoke:
        return
    _, columns = arrange(planned, layout, inside)
    if columns is not None and may_be_row_coordinate(layout, columns):
        return
    values = [] if columns is None else coordinates.varying(inside).get(columns, [])
    if len(values) < 2 or any(coordinates.number(value) is None for value in values):
        across = "nothing" if columns is None else columns
        yield SpecError(
            f"a band needs at least two numbers that run across, found {across}",
            hint="columns: a swept field with numbers; or figure: profile",
            path=("figure",),
        )


def _impossible_numbers(planned: Plan, layout: Layout) -> Iterator[SpecError]:
    """Published numbers that the measure can never have, such as shares in per cent."""
    if layout.published is None:
        return
    for path, cell in layout.published.written_out.items():
        low, high = range_at(planned.spec, layout.measure, {**layout.at, **cell.at})
        if not low <= cell.value <= high:
            percent = (low, high) == SHARES and 1 < cell.value <= 100
            hint = f"write {cell.value / 100:g}: shares are not in percent" if percent else ""
            message = f"{layout.measure} is from {low:g} to {high:g}, found {cell.value:g}"
            yield SpecError(message, hint=hint, path=("published", *path))


def _plane_problems(planned: Plan, layout: Layout, cells: Cells) -> Iterator[SpecError]:
    """What is wrong with the points of a plane, and with its second measure."""
    assert layout.against is not None
    if unknown := list(measure_problems(planned, layout.against.of, ("against", "of"))):
        yield from unknown
        return
    inside = [coords for coords in cells if is_in(layout, coords)]
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
    _, second = parts(planned, layout, [cell.coords for cell in planned.cells])
    others = [cell.coords for cell in planned.cells if cell.coords["measure"] == second.measure]
    wrong = list(_unknown_names(second, others)) or _shared_places(
        planned, second, [coords for coords in others if is_in(second, coords)]
    )
    for problem in wrong:
        yield problem.within("against")
