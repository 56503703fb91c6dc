"""Regions of planes: the class predicted at each point, and errors on circles of a known class."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from invspec.report.drawings import Array, RegionDrawing
from invspec.report.figures.axes import LEGEND
from invspec.report.figures.grids import titles
from invspec.report.style import CLASSES, FAINT, INK, PAGE
from invspec.report.table import Table

# Inches: the side of a panel, the width of the legend beside the panels.
SIDE, LEGEND_WIDTH = 1.75, 1.4
MAX_ACROSS = 4
# Points: circles, and their misclassified arcs.
THIN, THICK = 1.2, 3.4
# Points between a dot and its name; an arrowhead at the edge needs more, to clear the outer circle.
NAME_DISTANCE, FAR_NAME_DISTANCE = 6, 15


def draw(table: Table, framed: bool) -> Figure:
    """A block for each score, a row of panels for each plane, a panel for each classifier."""
    drawings = table.drawings.values()
    planes = [drawing for drawing in drawings if isinstance(drawing, RegionDrawing)]
    rows, columns = (max(plane.values.shape[axis] for plane in planes) for axis in (0, 1))
    across = min(len(planes), max(MAX_ACROSS // columns, 1))
    down = math.ceil(len(planes) / across)
    names = titles(table)
    block_height = rows * (SIDE + 0.4) + (0.25 if any(names) else 0.0)
    width = across * columns * (SIDE + 0.12) + LEGEND_WIDTH
    height = down * block_height + (0.6 if framed else 0.1)
    figure = Figure(figsize=(width, height), layout="constrained")
    blocks = figure.subfigures(down, across, squeeze=False)
    for block, name, plane in zip(blocks.flat, names, planes, strict=False):
        if name:
            block.suptitle(name, x=0.02, ha="left", color=INK, fontsize=9, fontweight="bold")
        _draw_block(block, plane)
    figure.legend(handles=_legend_handles(planes), loc="outside right center", **LEGEND)
    return figure


def _draw_block(block: Any, regions: RegionDrawing) -> None:
    grid = block.subplots(*regions.values.shape[:2], squeeze=False)
    for plane, classifier in np.ndindex(*regions.values.shape[:2]):
        _draw_panel(grid[plane, classifier], regions, plane, classifier)


def _draw_panel(axes: Axes, regions: RegionDrawing, plane: int, classifier: int) -> None:
    extent, errors = regions.extent, regions.misread[plane, classifier]
    _draw_areas(axes, regions.values[plane, classifier], extent)
    for radius, label, wrong in zip(regions.radii, regions.labels, errors, strict=True):
        _draw_circle(axes, radius, label, wrong)
    for name, places in regions.points.items():
        _draw_point(axes, name, places[plane], extent)
    axes.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    _add_title(axes, regions.headings[classifier], regions.circles, errors)


def _draw_areas(axes: Axes, classes: Array, extent: float) -> None:
    """Fill the panel with the first class, then draw the areas of the others over it.

    Paths of one colour each rather than an image, so that a page can replace their colours.
    """
    first, *others = np.unique(classes).tolist()
    corner, size = (-extent, -extent), 2 * extent
    axes.add_patch(Rectangle(corner, size, size, facecolor=area_colour(first), edgecolor="none"))
    side = np.linspace(-extent, extent, len(classes))
    for k in others:
        mask = (classes == k).astype(float)
        axes.contourf(side, side, mask, levels=[0.5, 1.5], colors=[area_colour(k)])


def _draw_circle(axes: Axes, radius: float, label: int, wrong: Array) -> None:
    """Draw a circle in the colour of its class, thick where it is misclassified.

    wrong (A,) is known at A equally spaced angles. Each stands for the arc from half-way to the
    previous angle to half-way to the next one, so the circle is drawn in half steps, beginning
    half-way between the last angle and the first.
    """
    turn = np.pi * (np.arange(2 * len(wrong) + 1) - 1) / len(wrong)
    x, y = radius * np.cos(turn), radius * np.sin(turn)
    between = wrong | np.roll(wrong, 1)
    thick = np.append(np.stack([between, wrong], axis=1).ravel(), between[0])
    colour = line_colour(label)
    axes.plot(x, y, color=colour, linewidth=THIN)
    arcs = np.where(thick, y, np.nan)
    axes.plot(x, arcs, color=colour, linewidth=THICK, solid_capstyle="butt")


def _draw_point(axes: Axes, name: str, place: Array, extent: float) -> None:
    """Draw a dot with its name, or an arrowhead at the edge if the point lies outside the panel.

    The name of a dot near the middle is on its outer side, that of any other on its inner side. The
    name of a point outside includes its distance from the middle.
    """
    (x, y), length = place.tolist(), math.hypot(*place)
    marker, distance = cast(Any, "o"), NAME_DISTANCE
    if (beyond := max(abs(x), abs(y)) / extent) > 1:
        marker, distance = (3, 0, math.degrees(math.atan2(y, x)) - 90), FAR_NAME_DISTANCE
        name = f"{name} at {length:,.0f}"
        x, y = 0.97 * x / beyond, 0.97 * y / beyond
    axes.plot(x, y, marker=marker, markersize=4.5, color=INK, zorder=5)
    sign = -1 if length > extent / 2 else 1
    across, up = (sign * part / (math.hypot(x, y) or 1.0) for part in (x, y))
    _write_name(axes, name, (x, y), (distance * across, distance * up))


def _write_name(
    axes: Axes, name: str, place: tuple[float, float], offset: tuple[float, float]
) -> None:
    """Write a name beside a point. Its box hides the circles below it."""
    across, up = (part / math.hypot(*offset) if any(offset) else 0.0 for part in offset)
    sides: dict[str, Any] = {
        "ha": _alignment(across, "right", "left"),
        "va": _alignment(up, "top", "bottom"),
    }
    box = {"boxstyle": "round,pad=0.12", "facecolor": PAGE, "edgecolor": "none"}
    text: dict[str, Any] = {"fontsize": 7.5, "color": INK, "zorder": 4, "bbox": box}
    axes.annotate(name, place, offset, textcoords="offset points", **text, **sides)


def _alignment(direction: float, backward: str, forward: str) -> str:
    """The side of a text that faces the point it names."""
    return "center" if abs(direction) < 0.4 else forward if direction > 0 else backward


def _add_title(axes: Axes, heading: str, circles: tuple[str, ...], errors: Array) -> None:
    """The classifier and, below it, its share of errors on each circle."""
    axes.set_title(heading, loc="left", color=INK, fontsize=8.5, pad=13)
    shares = [
        f"{circle} {percent(share)}"
        for circle, share in zip(circles, errors.mean(-1).tolist(), strict=True)
    ]
    below: dict[str, Any] = {"xytext": (0, 3), "textcoords": "offset points"}
    text = f"errors: {', '.join(shares)}"
    axes.annotate(text, (0, 1), xycoords="axes fraction", color=FAINT, fontsize=7, **below)


def percent(share: float) -> str:
    """A share in percent, with a decimal where 0 % or 100 % would be wrong."""
    decimals = 1 if 0 < share < 0.01 or 0.99 < share < 1 else 0
    return f"{100 * share:.{decimals}f} %"


def area_colour(label: int) -> str:
    """The colour of points predicted as a class."""
    return CLASSES[label % len(CLASSES)][1][0]


def line_colour(label: int) -> str:
    """The colour of circles of a class."""
    return CLASSES[label % len(CLASSES)][0][0]


def _legend_handles(planes: list[RegionDrawing]) -> list[Patch | Line2D]:
    """The legend: all classes, and a misclassified arc."""
    true_labels = {label for plane in planes for label in plane.labels}
    labels = sorted({*true_labels, *np.unique([plane.values for plane in planes])})
    classes: list[Patch | Line2D] = [
        Patch(
            facecolor=area_colour(label),
            edgecolor=line_colour(label),
            linewidth=THIN,
            label=f"class {label}",
        )
        for label in labels
    ]
    return [*classes, Line2D([], [], color=FAINT, linewidth=THICK, label="misclassified")]
