"""Axes without clutter, their scales, and legends beside or below them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from invspec.report.style import GRID, LineStyle
from invspec.report.table import Table

# Letters of a legend's entry in an inch, and inches: of the line before it, and of a row.
LETTERS_PER_INCH, HANDLE_WIDTH, LEGEND_ROW = 15, 0.45, 0.17
LEGEND: dict[str, Any] = {"alignment": "left", "frameon": False}


def legend_handles(styles: Mapping[str, LineStyle]) -> list[Line2D]:
    """A line with its marker for each entry of a legend."""
    return [
        Line2D([], [], color=style.colour, marker=style.marker, markersize=3.4, linewidth=1.5)
        for style in styles.values()
    ]


def add_legend(figure: Figure, styles: Mapping[str, LineStyle], title: str | None) -> None:
    """Add one legend for the whole figure, on its right."""
    position = "outside right center"
    figure.legend(legend_handles(styles), list(styles), title=title, loc=position, **LEGEND)


def add_legend_below(figure: Figure, styles: Mapping[str, LineStyle], title: str | None) -> None:
    """Add one legend for the whole figure below it, in as many columns as fit its width."""
    words = title.replace("\n(", " (").replace("\n", ", ") if title else None
    entry = max(map(len, styles)) / LETTERS_PER_INCH + HANDLE_WIDTH
    columns = max(min(int(figure.get_figwidth() / entry), len(styles)), 1)
    figure.legend(
        legend_handles(styles),
        list(styles),
        title=words,
        loc="outside lower center",
        ncols=columns,
        **LEGEND,
    )
    rows = math.ceil(len(styles) / columns) + bool(words)
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW * rows)


def clean_axes(axes: Axes, grid: str = "y") -> None:
    """Remove the upper and right frame; put a faint grid behind the data."""
    axes.grid(axis=grid, color=GRID, linewidth=0.6)  # pyright: ignore[reportArgumentType]  # x, y or both
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=2.5, width=0.7)


def scale_shares(axis: Axis, limit: Callable[..., Any], table: Table) -> None:
    """Let an axis of shares begin at 0, in per cent if the layout says so.

    limit: set_xlim or set_ylim of the axes. table: the one whose numbers are along the axis.
    """
    if table.is_share:
        limit(0, 1)
    elif table.may_be_shares:
        limit(0, None)
    if table.in_percent:
        axis.set_major_formatter(PercentFormatter(1, symbol=""))
