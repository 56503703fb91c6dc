"""Profiles: a line with its interval for each row, or dots where the columns are not numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from invspec.analysis.estimator import Summary
from invspec.plan.coordinates import number
from invspec.report.figures import bands
from invspec.report.figures.axes import (
    LEGEND,
    add_legend,
    add_legend_below,
    clean_axes,
    legend_handles,
    scale_shares,
)
from invspec.report.figures.grids import hide_unused
from invspec.report.figures.panels import (
    Panel,
    artist_id,
    is_profile,
    labels_in_panel,
    legend_text,
    legend_title,
    panels_of,
    styles_of,
)
from invspec.report.format import column_headings
from invspec.report.style import INK, LineStyle
from invspec.report.table import RowLabels, Table

# Inches.
PANEL_WIDTH, PANEL_HEIGHT, LEGEND_WIDTH = 3.1, 2.5, 1.7
MAX_ACROSS, MIN_PANEL_WIDTH = 3, 1.6
# Letters that fit side by side below a panel.
TICK_LETTERS = 28
# Tick labels closer than this share of the axis would touch.
TICK_DISTANCE = 1 / 11


def draw(tables: Sequence[Table], framed: bool, width: float | None = None) -> Figure:
    """All panels of some tables, with one legend if it is the same for all of them.

    width: that of the figure in inches (default: what the panels take, with the legend beside).
    """
    panels = [
        Panel(title, table, lines) for table in tables for title, lines in panels_of(table).items()
    ]
    legends = [panel.legend for panel in panels]
    shares_legend = len(tables) == 1 or all(
        legend.items() <= legends[0].items() for legend in legends
    )
    most_lines = max(len(styles_of(table)) for table in tables)
    has_legend = shares_legend and most_lines > 1
    figure, grid = (
        _grid(tables, len(panels), has_legend, framed)
        if width is None
        else _grid_of_width(tables, len(panels), width)
    )
    for axes, panel in zip(grid.flat, panels, strict=False):
        axes.set_title(panel.title, loc="left", color=INK)
        _draw_panel(axes, panel)
    hide_unused(grid, len(panels))
    _label_axes(grid, panels)
    if most_lines > 1:
        _add_legends(figure, grid, panels, shares_legend, below=width is not None)
    return figure


def _grid(
    tables: Sequence[Table], panels: int, legend_beside: bool, framed: bool
) -> tuple[Figure, Any]:
    """An empty figure and its grid of axes."""
    across = min(panels, MAX_ACROSS)
    down = math.ceil(panels / across)
    stretch = 1.35 if panels == 1 else 1.15 if len(tables) > 1 else 1.0
    width = PANEL_WIDTH * across * stretch + (LEGEND_WIDTH if legend_beside else 0.0)
    height = PANEL_HEIGHT * down * (1.1 if stretch > 1 else 1.0) + (0.55 if framed else 0.15)
    figure = Figure(figsize=(width, height), layout="constrained")
    # Panels of one table show the same quantity, so they share their axes.
    shared = len(tables) == 1
    return figure, figure.subplots(down, across, sharex=shared, sharey=shared, squeeze=False)


def _grid_of_width(tables: Sequence[Table], panels: int, width: float) -> tuple[Figure, Any]:
    """An empty figure as wide as a column of a paper, in inches, and its grid of axes."""
    across = max(min(panels, MAX_ACROSS, int(width / MIN_PANEL_WIDTH)), 1)
    down = math.ceil(panels / across)
    height = min(width / across * PANEL_HEIGHT / PANEL_WIDTH, PANEL_HEIGHT)
    figure = Figure(figsize=(width, height * down), layout="constrained")
    shared = len(tables) == 1
    return figure, figure.subplots(down, across, sharex=shared, sharey=shared, squeeze=False)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    table, styles = panel.table, styles_of(panel.table)
    values = [value for value in map(number, table.column_values) if value is not None]
    positions = values if is_profile(table) else None
    if positions is not None and table.figure == "band":
        bands.draw(axes, positions, panel, styles)
    else:
        _draw_lines(axes, panel, positions, styles)
    _set_ticks(axes, table, positions)
    clean_axes(axes)
    if table.is_share:
        axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    scale_shares(axes.yaxis, axes.set_ylim, table)


def _draw_lines(
    axes: Axes,
    panel: Panel,
    positions: Sequence[float] | None,
    styles: Mapping[RowLabels, LineStyle],
) -> None:
    count, columns = len(panel.lines), range(len(panel.table.column_values))
    for rank, line in enumerate(panel.lines):
        labels = labels_in_panel(panel.table, line)
        style, entry = styles[labels], legend_text(labels, panel.table)
        if positions is not None:
            _draw_profile(axes, positions, line.numbers, style, entry)
        else:
            # The dots of one column stand side by side.
            shift = (rank - (count - 1) / 2) * 0.7 / max(count, 1)
            _draw_dots(axes, [column + shift for column in columns], line.numbers, style, entry)


def _draw_profile(
    axes: Axes,
    positions: Sequence[float],
    numbers: Sequence[Summary | None],
    style: LineStyle,
    entry: str,
) -> None:
    order = sorted(range(len(positions)), key=lambda column: positions[column])
    x, ordered = [positions[column] for column in order], [numbers[column] for column in order]
    value, low, high = zip(
        *((math.nan,) * 3 if n is None else (n.value, n.low, n.high) for n in ordered),
        strict=True,
    )
    line: dict[str, Any] = {"linewidth": 1.5, "marker": style.marker, "markersize": 3.4}
    axes.fill_between(
        x, low, high, color=style.colour, alpha=0.18, linewidth=0, gid=artist_id(axes, entry)
    )
    axes.plot(
        x, value, color=style.colour, clip_on=False, zorder=3, gid=artist_id(axes, entry), **line
    )


def _draw_dots(
    axes: Axes,
    positions: Sequence[float],
    numbers: Sequence[Summary | None],
    style: LineStyle,
    entry: str,
) -> None:
    bar: dict[str, Any] = {"linewidth": 1.3, "solid_capstyle": "butt", "zorder": 2}
    dot: dict[str, Any] = {"marker": style.marker, "markersize": 3.6, "zorder": 3}
    for x, item in zip(positions, numbers, strict=True):
        if item is not None:
            ends = [item.low, item.high]
            axes.plot([x, x], ends, color=style.colour, gid=artist_id(axes, entry), **bar)
            axes.plot(
                [x],
                [item.value],
                color=style.colour,
                clip_on=False,
                gid=artist_id(axes, entry),
                **dot,
            )


# ─ ticks, labels, legends ─────────────────────────────────────────────────────────────────────────


def _set_ticks(axes: Axes, table: Table, positions: Sequence[float] | None) -> None:
    if table.columns is None:
        axes.set_xticks([])
        axes.set_xlim(-0.6, 0.6)
        return
    if positions is None:
        names = column_headings(table)
        overlap = max(map(len, names)) * len(names) > TICK_LETTERS
        slant: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(range(len(names)), names, **(slant if overlap else {}))
        axes.set_xlim(-0.6, len(names) - 0.4)
        return
    ordered = sorted(positions)
    nearest = min(above - below for below, above in pairwise(ordered))
    if nearest > (max(positions) - min(positions)) * TICK_DISTANCE:
        axes.set_xticks(list(positions), [table.shown(value) for value in table.column_values])
    else:
        integer = all(position == int(position) for position in positions)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=integer))
    axes.margins(x=0.03)


def _label_axes(grid: Any, panels: Sequence[Panel]) -> None:
    """Label the outer axes if all panels are of one table, else all axes."""
    across, single_table = grid.shape[1], len({id(panel.table) for panel in panels}) == 1
    for place, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
        if place + across >= len(panels) or not single_table:
            axes.set_xlabel(_across(panel.table))
            axes.xaxis.set_tick_params(labelbottom=True)
        if place % across == 0 or not single_table:
            axes.set_ylabel(_up(panel.table))


def _across(table: Table) -> str:
    return "" if table.columns is None else table.axis(table.columns)


def _up(table: Table) -> str:
    return f"{table.axis(table.measure)} (%)" if table.in_percent else table.axis(table.measure)


def _add_legends(
    figure: Figure, grid: Any, panels: Sequence[Panel], shared: bool, below: bool
) -> None:
    """One legend beside or below the panels if it holds for all of them, else one in each panel."""
    if shared:
        entries = {text: style for panel in panels for text, style in panel.legend.items()}
        add = add_legend_below if below else add_legend
        add(figure, entries, legend_title(panels[0].table))
        return
    for axes, panel in zip(grid.flat, panels, strict=False):
        entries, title = panel.legend, legend_title(panel.table)
        axes.legend(legend_handles(entries), list(entries), title=title, loc="best", **LEGEND)
