"""Matrices as heat maps, with or without numbers in their cells."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_hex, to_rgb
from matplotlib.figure import Figure

from invspec.report.drawings import Array, Drawing
from invspec.report.figures.grids import PAGE_WIDTH, Drawings, hide_unused, titles
from invspec.report.format import decimal
from invspec.report.style import GRID, HEAT, INK
from invspec.report.table import Table

# Steps of the colour scale; each is a CSS variable of a page.
LEVELS = 64
# With more classes than this the cells are too narrow for a number.
MAX_NUMBERS = 20
# Inches: a cell of a numbered matrix, a heat map.
CELL, HEATMAP = 0.36, 2.1

LIGHT_TINTS, DARK_TINTS = (
    tuple(
        to_hex(colour)
        for colour in LinearSegmentedColormap.from_list("heat", list(stops), LEVELS)(range(LEVELS))
    )
    for stops in HEAT
)
# Text on a cell is black or white, whichever has more contrast. A cell has other colours on a dark
# page, so there are four cases (white on a white page, white on a dark page), and each needs a
# colour of its own that a page can replace: (colour on a white page, colour on a dark page).
_TEXT = {
    (False, False): ("#000000", "#000000"),
    (False, True): ("#000001", "#ffffff"),
    (True, False): ("#fffffe", "#000000"),
    (True, True): ("#ffffff", "#ffffff"),
}


def dark_colours() -> dict[str, str]:
    """The colour on a dark page of every colour of a matrix; there, low values are dark."""
    return dict(zip(LIGHT_TINTS, DARK_TINTS, strict=True)) | dict(_TEXT.values())


def heatmaps(table: Table, framed: bool) -> Figure:
    """A square for each matrix, coloured by the absolute values of its entries."""
    absolute = {labels: Drawing(abs(one.values)) for labels, one in table.drawings.items()}
    return _draw(replace(table, drawings=absolute), (HEATMAP, HEATMAP), framed, numbered=False)


def matrices(table: Table, framed: bool) -> Figure:
    """A panel for each matrix of target by source classes, with numbers in its cells."""
    shapes = [drawing.values.shape for drawing in table.drawings.values()]
    rows, columns = (max(sizes) for sizes in zip(*shapes, strict=True))
    cell = min(CELL, CELL * MAX_NUMBERS / max(rows, columns) / 2)
    return _draw(table, (cell * columns + 0.35, cell * rows + 0.45), framed, numbered=True)


def _draw(table: Table, panel: tuple[float, float], framed: bool, numbered: bool) -> Figure:
    drawings = table.drawings
    across = min(len(drawings), max(int(PAGE_WIDTH / panel[0]), 1))
    down = math.ceil(len(drawings) / across)
    size = (panel[0] * across + 0.8, (panel[1] + 0.25) * down + (0.55 if framed else 0.15))
    figure = Figure(figsize=size, layout="constrained")
    grid, scale = figure.subplots(down, across, squeeze=False), _scale(drawings)
    mesh: Any = None
    for axes, title, drawing in zip(grid.flat, titles(table), drawings.values(), strict=False):
        mesh = _draw_matrix(axes, drawing.values, scale)
        _add_title(axes, title, drawing.values if numbered else None)
        if numbered:
            _label_classes(axes, drawing.values)
            _write_numbers(axes, drawing.values, scale)
        else:
            axes.set(xticks=[], yticks=[])
    hide_unused(grid, len(drawings))
    _add_colour_bar(figure, grid, mesh)
    return figure


def _scale(drawings: Drawings) -> Normalize:
    """One scale for all matrices: 0 to 1, extended to the smallest and the largest entry."""
    values = [drawing.values[np.isfinite(drawing.values)] for drawing in drawings.values()]
    entries = np.concatenate(values)
    return Normalize(float(entries.min(initial=0.0)), float(entries.max(initial=1.0)))


def _draw_matrix(axes: Axes, values: Array, scale: Normalize) -> Any:
    colours = LinearSegmentedColormap.from_list("heat", [*HEAT[0]], LEVELS)
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(values),
        norm=scale,
        cmap=colours.with_extremes(bad=GRID),
        edgecolors="face",
        linewidth=0.5,
    )
    axes.set_aspect("equal")
    axes.invert_yaxis()
    return mesh


def _add_title(axes: Axes, title: str, values: Array | None) -> None:
    """The title of a panel, with the mean of its values if there are any."""
    present = np.ma.masked_invalid(values) if values is not None else np.ma.array([])
    mean = f"mean {decimal(float(present.mean()), 2)}" if present.count() else ""
    text = " \N{MIDDLE DOT} ".join(filter(None, [title, mean]))
    axes.set_title(text, loc="left", color=INK, fontsize=8.5)


def _add_colour_bar(figure: Figure, grid: Any, mesh: Any) -> None:
    bar = figure.colorbar(mesh, ax=list(grid.flat), shrink=0.7, aspect=22, pad=0.02)
    assert bar.solids is not None, "the colour bar has no colours"
    # Paths rather than an image, so that a page can replace their colours.
    bar.solids.set(rasterized=False, edgecolor="face", linewidth=0.5)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]  # typed as its rectangle's spine
    bar.ax.tick_params(length=2.5, width=0.7)


def _label_classes(axes: Axes, values: Array) -> None:
    """Class numbers along both axes, every n-th where all would not fit."""
    rows, columns = values.shape
    every = _tick_step(values)
    axes.set_xticks(np.arange(0, columns, every) + 0.5, [str(k) for k in range(0, columns, every)])
    axes.set_yticks(np.arange(0, rows, every) + 0.5, [str(k) for k in range(0, rows, every)])
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set(color=GRID)
    axes.set_xlabel("source class")
    axes.set_ylabel("target class")


def _tick_step(values: Array) -> int:
    return math.ceil(max(values.shape) / MAX_NUMBERS)


def _write_numbers(axes: Axes, values: Array, scale: Normalize) -> None:
    """Write each entry in its cell if the cells are wide enough."""
    if _tick_step(values) > 1:
        return
    largest = max(abs(scale.vmin or 0), abs(scale.vmax or 0))
    # Cells have room for three digits.
    decimals = max(3 - len(str(int(largest))), 0)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            text, colour = decimal(value, decimals), text_colour(float(scale(value)))
            middle: dict[str, Any] = {"ha": "center", "va": "center"}
            axes.text(column + 0.5, row + 0.53, text, fontsize=6.5, color=colour, **middle)


def text_colour(place: float) -> str:
    """The colour of text on a cell at a place of the scale, 0 to 1."""
    level = min(int(place * LEVELS), LEVELS - 1)
    return _TEXT[_needs_white(LIGHT_TINTS[level]), _needs_white(DARK_TINTS[level])][0]


def _needs_white(colour: str) -> bool:
    """Whether white text has more contrast than black text, by the luminance of WCAG 2."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in to_rgb(colour)
    ]
    luminance = float(np.dot((0.2126, 0.7152, 0.0722), linear))
    return 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05
