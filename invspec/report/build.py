"""Build tables: arrange groups of readings by the layouts of a spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from invspec.analysis import health, readings
from invspec.analysis.estimator import Estimator, Summary
from invspec.analysis.health import Health
from invspec.analysis.published import Comparison
from invspec.analysis.readings import Artifacts, Group
from invspec.errors import SpecError, joined, refuse
from invspec.plan import coordinates, layouts
from invspec.plan.cells import Plan
from invspec.plan.validation.published import published_problems
from invspec.report import captions, units
from invspec.report.drawings import collect_drawings
from invspec.report.table import Line, RowLabels, Table
from invspec.spec.schema import Layout, Scalar

T = TypeVar("T")


def tables(plan: Plan, store: Artifacts) -> tuple[Table, ...]:
    """A table for each layout, from the results in the store."""
    groups = readings.groups(readings.collect(plan, store))
    estimator = Estimator(groups, plan.spec.seeds_paired)
    return Builder(plan, groups, estimator, store, health.health(plan, store)).tables()


@dataclass(frozen=True)
class Builder:
    """Builds tables from groups of readings.

    What turns out not to fit the scores once they are there, such as a figure of what they do not
    store, is left out, and the table says why.
    """

    plan: Plan
    groups: Sequence[Group]
    estimator: Estimator
    store: Artifacts
    health: Health

    def tables(self) -> tuple[Table, ...]:
        """A table for each layout."""
        numbered = enumerate(layouts.layouts(self.plan))
        return tuple(self._whole_or_bare(number, layout) for number, layout in numbered)

    def _whole_or_bare(self, number: int, layout: Layout) -> Table:
        """The table of one layout; without figure and published numbers if they do not fit."""
        try:
            return self.table(layout)
        except SpecError as problem:
            located = self.plan.spec.source.locate(problem.within("report", number))
        bare = layout.model_copy(update={"figure": "none", "against": None, "published": None})
        return replace(self.table(bare), problem=joined(located))

    def table(self, layout: Layout) -> Table:
        """The table of one layout. Raises: SpecError if the scores do not fit it."""
        cells = [group.coords for group in self.groups]
        first, *others = map(self._part, layouts.parts(self.plan, layout, cells))
        if not others:
            return first
        tables = (first, *others)
        if layout.against is not None:
            _check_plane(layout, *tables)
        title = layout.title or captions.enumerated([table.called for table in tables])
        summary = "; ".join(map(self._summary, tables))
        present = {line.labels: None for table in tables for line in table.lines}
        rows = [labels for labels, _ in _in_spec_order(present)]
        first, *others = (_with_lines(table, rows) for table in tables)
        return replace(first, title=title, summary=summary, others=tuple(others))

    def _part(self, layout: Layout) -> Table:
        """The table of one measure."""
        spec, measure = self.plan.spec, layout.measure
        selected = [group for group in self.groups if layouts.is_in(layout, group.coords)]
        rows, columns = layouts.arrange(self.plan, layout, [group.coords for group in selected])
        values = dict.fromkeys(_along(group.coords, columns) for group in selected)
        column_values = tuple(values) or ((None,) if columns is None else ())
        shown = (*rows, *([] if columns is None else [columns]))
        cells = self._cells(selected, rows, columns)
        drawings = collect_drawings(layout.drawn, selected, shown, self.store)
        names = {**spec.names, **layout.names}
        table = Table(
            title=layout.title or captions.title(spec, measure, names),
            summary=captions.summary(spec, measure),
            measure=measure,
            rows=rows,
            columns=columns,
            column_values=column_values,
            lines=tuple(_line(labels, row, column_values) for labels, row in _in_spec_order(cells)),
            headings={name: names.get(name) or units.heading(spec, name) for name in shown},
            fixed={**self._only_dataset(selected, shown), **layout.at},
            figure=layout.drawn,
            legend=layout.legend,
            metric=units.metric(spec, layout),
            drawings=drawings,
            remark=captions.remark(
                spec,
                layout,
                names.get(rows[-1], rows[-1]) if rows else "",
                drawings.values(),
                several_seeds=any(len(group.readings) > 1 for group in selected),
            ),
            comparisons=tuple(self._comparisons(layout, selected)),
            names=names,
            in_percent=layout.percent and layouts.is_share(spec, measure),
            digits=layout.decimals,
            best=layout.best.get(measure) if isinstance(layout.best, dict) else layout.best,
        )
        _check_band(table)
        return table

    def _summary(self, table: Table) -> str:
        """What one measure among several is: accuracy under clean: share of examples ..."""
        title = captions.title(self.plan.spec, table.measure, table.names)
        return ": ".join(filter(None, [title, table.summary]))

    def _cells(
        self, selected: Sequence[Group], rows: tuple[str, ...], columns: str | None
    ) -> dict[RowLabels, dict[Scalar | None, Summary | None]]:
        numbers = self.health.summaries(selected, self.estimator)
        cells: dict[RowLabels, dict[Scalar | None, Summary | None]] = {}
        for group in selected:
            labels = tuple(group.coords.get(name) for name in rows)
            cells.setdefault(labels, {})[_along(group.coords, columns)] = numbers.get(group)
        return cells

    def _comparisons(self, layout: Layout, selected: Sequence[Group]) -> Iterator[Comparison]:
        """The paper's numbers for cells of a table, each beside ours."""
        if layout.published is None:
            return
        is_computed = any(group.present for group in selected)
        coords = [group.coords for group in selected]
        refuse(published_problems(layout, coords, is_computed=is_computed))
        within = layout.published.within
        for paper in layout.published.written_out.values():
            there = [group for group in selected if coordinates.matches(group.coords, paper.at)]
            group = there[0] if there else None
            numbers = self.estimator.summaries(there)
            yield Comparison(paper, numbers.get(group) if group else None, within, group)

    def _only_dataset(self, selected: Sequence[Group], shown: Sequence[str]) -> dict[str, Scalar]:
        """The data set of a table, where the spec has several and no label says which."""
        datasets = {group.coords["dataset"] for group in selected}
        several = len(self.plan.coordinates()["dataset"]) > 1
        is_named = "dataset" in shown or len(datasets) != 1
        return {"dataset": datasets.pop()} if several and not is_named else {}


def _along(coords: Mapping[str, Scalar], columns: str | None) -> Scalar | None:
    """The value of the coordinate that runs across, if one does."""
    return None if columns is None else coords.get(columns)


def _line(
    labels: RowLabels, row: Mapping[Scalar | None, Summary | None], values: RowLabels
) -> Line:
    blank = frozenset(place for place, value in enumerate(values) if value not in row)
    return Line(labels, tuple(map(row.get, values)), blank)


def _with_lines(table: Table, rows: Iterable[RowLabels]) -> Table:
    """A table with these rows, of which it may lack some."""
    lines = {line.labels: line for line in table.lines}
    empty: dict[Scalar | None, Summary | None] = {}
    return replace(
        table,
        lines=tuple(lines.get(row) or _line(row, empty, table.column_values) for row in rows),
    )


def _check_plane(layout: Layout, across: Table, up: Table) -> None:
    """Raises: SpecError if both measures of a plane have numbers, but no net in common."""
    rows = [{line.labels for line in table.lines} for table in (across, up)]
    if up.numbers and rows[0].isdisjoint(rows[1]):
        raise SpecError(
            f"{layout.measure} and {up.measure} have no row in common",
            hint=f"fix the coordinates in which they differ with at: {', '.join(across.rows)}",
            path=("against",),
        )


def _check_band(table: Table) -> None:
    """Raises SpecError if no bands can be drawn from the numbers that are present."""
    if table.figure != "band" or not table.numbers:
        return
    values = table.column_values
    if len(values) < 2 or any(coordinates.number(value) is None for value in values):
        columns = coordinates.listing({table.columns or "none": values})
        raise SpecError(
            "the columns of a band must be at least two numbers",
            hint=f"columns: {columns}",
            path=("columns",),
        )
    if len({line.labels[-1:] for line in table.lines}) < 2:
        state = f"{table.rows[-1]} has one value" if table.rows else "there are no rows"
        raise SpecError(
            "a band needs at least two values of its last row coordinate",
            hint=f"the last of rows must have at least two values; {state}",
            path=("rows",),
        )


def _in_spec_order(cells: Mapping[RowLabels, T]) -> list[tuple[RowLabels, T]]:
    """Lines sorted by their first label, then their second, ..., each in the order of the spec."""
    ranks = [list(dict.fromkeys(values)) for values in zip(*cells, strict=True)]
    return sorted(
        cells.items(),
        key=lambda line: [rank.index(label) for rank, label in zip(ranks, line[0], strict=True)],
    )
