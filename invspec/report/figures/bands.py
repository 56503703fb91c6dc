"""Bands: the area between the lines with the lowest and the highest last label."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from invspec.plan.coordinates import number
from invspec.report.figures.panels import Panel, labels_in_panel
from invspec.report.style import LineStyle
from invspec.report.table import Line, RowLabels


def draw(
    axes: Axes,
    positions: Sequence[float],
    panel: Panel,
    styles: Mapping[RowLabels, LineStyle],
) -> None:
    """Draw all bands of a panel; the more there are, the lighter they get."""
    bands = _bands(panel)
    for labels, edges in bands.items():
        _draw_band(axes, positions, edges, styles[labels], alpha=min(0.2, 0.5 / len(bands)))


def _bands(panel: Panel) -> dict[RowLabels, list[Line]]:
    """The lines of each band, the lowest edge first."""
    bands: dict[RowLabels, list[Line]] = {}
    for line in panel.lines:
        bands.setdefault(labels_in_panel(panel.table, line), []).append(line)
    return {
        labels: sorted(edges, key=lambda edge: number(edge.labels[-1]) or 0.0)
        for labels, edges in bands.items()
    }


def _draw_band(
    axes: Axes, positions: Sequence[float], edges: Sequence[Line], style: LineStyle, alpha: float
) -> None:
    """Fill from the first edge to the last; lines in between are dashed."""
    order = sorted(range(len(positions)), key=lambda column: positions[column])
    x = [positions[column] for column in order]
    heights = [_heights(edge, order) for edge in edges]
    line: dict[str, Any] = {"color": style.colour, "clip_on": False, "zorder": 3}
    axes.fill_between(x, heights[0], heights[-1], color=style.colour, alpha=alpha, linewidth=0)
    for rank, height in enumerate(heights):
        if rank in (0, len(heights) - 1):
            axes.plot(x, height, linewidth=1.2, marker=style.marker, markersize=2.8, **line)
        else:
            axes.plot(x, height, linewidth=0.9, linestyle=(0, (3, 2)), **line)


def _heights(edge: Line, order: Sequence[int]) -> list[float]:
    numbers = (edge.numbers[column] for column in order)
    return [math.nan if item is None else item.value for item in numbers]
