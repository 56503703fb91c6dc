"""Planes: one measure against another, a point with both intervals for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from invspec.report.figures.axes import add_legend, add_legend_below, clean_axes, scale_shares
from invspec.report.figures.panels import artist_id, legend_text, legend_title, styles_of
from invspec.report.style import FAINT
from invspec.report.table import Table

# Inches.
WIDTH, HEIGHT = 6.4, 3.6


def draw(table: Table, against: Table, framed: bool, width: float | None = None) -> Figure:
    """Plot table along x and against along y, with their Pareto front (more is better on both).

    width: that of the figure in inches (default: 6.4, with the legend beside).
    """
    vertical = {line.labels: line.numbers[0] for line in against.lines}
    pairs = {line.labels: (line.numbers[0], vertical.get(line.labels)) for line in table.lines}
    points = {row: (x, y) for row, (x, y) in pairs.items() if x is not None and y is not None}
    size = (WIDTH, HEIGHT + (0.5 if framed else 0.0))
    if width is not None:
        size = (width, min(0.75 * width, HEIGHT))
    figure = Figure(figsize=size, layout="constrained")
    axes, styles = figure.subplots(), styles_of(table)
    front = pareto_front([(x.value, y.value) for x, y in points.values()])
    dashed = (0, (4, 3))
    axes.plot(*zip(*front, strict=True), color=FAINT, linewidth=0.8, linestyle=dashed, zorder=1)
    for row, (x, y) in points.items():
        colour, marker = styles[row].colour, styles[row].marker
        entry = legend_text(row, table)
        for ends in (([x.low, x.high], [y.value] * 2), ([x.value] * 2, [y.low, y.high])):
            axes.plot(*ends, color=colour, linewidth=1.1, gid=artist_id(axes, entry))
        point: dict[str, Any] = {"marker": marker, "markersize": 5, "linestyle": "none"}
        axes.plot(x.value, y.value, color=colour, gid=artist_id(axes, entry), **point)
    axes.set_xlabel(_axis_title(table))
    axes.set_ylabel(_axis_title(against))
    clean_axes(axes, "both")
    scale_shares(axes.xaxis, axes.set_xlim, table)
    scale_shares(axes.yaxis, axes.set_ylim, against)
    entries = {legend_text(row, table): styles[row] for row in points}
    add = add_legend if width is None else add_legend_below
    add(figure, entries, legend_title(table))
    return figure


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other point dominates, from left to right."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(set(points), reverse=True):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front[::-1]


def _axis_title(table: Table) -> str:
    """A measure and the swept values at which it is taken: robust_accuracy at pgd.eps 8/255."""
    fixed = [
        f"{table.named(name)} {table.shown(value)}"
        for name, value in table.fixed.items()
        if "." in name
    ]
    name = table.axis(table.measure)
    return f"{name} at {', '.join(fixed)}" if fixed else name
