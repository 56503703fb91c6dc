"""Figures of planes: what classifiers take each point for, and where they are wrong on circles of a known class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from invspec.report.payloads import Array, Picture, Regions
from invspec.report.pictures import titles
from invspec.report.style import CLASSES, FAINT, INK, PAGE, QUIET
from invspec.report.table import Labels

SIDE = 1.75  # inches: of a panel
LEGEND = 1.15  # inches: what it takes beside the panels
MOST_ACROSS = 4  # panels
THIN, THICK = 1.2, 3.4  # points: circles, and the arcs of them that are misread


def planes(pictures: Mapping[Labels, Picture], framed: bool) -> Figure:
    """A block for each score: a row of panels for each plane, a panel a classifier."""
    kept = [picture for picture in pictures.values() if isinstance(picture, Regions)]
    rows, columns = (max(picture.values.shape[axis] for picture in kept) for axis in (0, 1))
    across = min(len(kept), max(MOST_ACROSS // columns, 1))
    down = math.ceil(len(kept) / across)
    names = titles(pictures)
    tall = rows * (SIDE + 0.4) + (0.25 if any(names) else 0.0)
    size = (across * columns * (SIDE + 0.12) + LEGEND, down * tall + (0.6 if framed else 0.1))
    figure = Figure(figsize=size, layout="constrained")
    blocks = figure.subfigures(down, across, squeeze=False)
    for block, name, picture in zip(blocks.flat, names, kept, strict=False):
        if name:
            block.suptitle(name, x=0.02, ha="left", color=INK, fontsize=9, fontweight="bold")
        _block(block, picture)
    figure.legend(handles=_handles(kept), loc="outside right center", **QUIET)
    return figure


def _block(block: Any, picture: Regions) -> None:
    count, classifiers = picture.values.shape[:2]
    grid = block.subplots(count, classifiers, squeeze=False)
    for plane, classifier in np.ndindex(count, classifiers):
        axes = grid[plane, classifier]
        _areas(axes, picture.values[plane, classifier], picture.extent)
        for circle, misread in enumerate(picture.misread[plane, classifier]):
            _circle(axes, picture.radii[circle], picture.labels[circle], misread)
        for name, places in picture.points.items():
            _point(axes, name, places[plane], picture.extent)
        axes.set(
            xlim=(-picture.extent, picture.extent),
            ylim=(-picture.extent, picture.extent),
            aspect="equal",
        )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        _title(
            axes, picture.headings[classifier], picture.circles, picture.misread[plane, classifier]
        )


def _areas(axes: Axes, classes: Array, extent: float) -> None:
    """Paths of flat colour, which a page can change: below all, the first class, then the others."""
    first, *others = np.unique(classes).tolist()
    axes.add_patch(
        Rectangle(
            (-extent, -extent), 2 * extent, 2 * extent, facecolor=area(first), edgecolor="none"
        )
    )
    side = np.linspace(-extent, extent, len(classes))
    for k in others:
        axes.contourf(side, side, (classes == k).astype(float), levels=[0.5, 1.5], colors=[area(k)])


def _circle(axes: Axes, radius: float, label: int, misread: Array) -> None:
    """A circle in the colour of its class, thick where it is misread: from half-way to the angle before to half-way on.

    It goes by half steps from the middle between the last angle and the first.
    """
    turn = np.pi * (np.arange(2 * len(misread) + 1) - 1) / len(misread)
    x, y = radius * np.cos(turn), radius * np.sin(turn)
    between = misread | np.roll(misread, 1)  # of each angle and the one before
    wrong = np.append(np.stack([between, misread], axis=1).ravel(), between[0])
    axes.plot(x, y, color=line(label), linewidth=THIN)
    axes.plot(
        x, np.where(wrong, y, np.nan), color=line(label), linewidth=THICK, solid_capstyle="butt"
    )


def _point(axes: Axes, name: str, place: Array, extent: float) -> None:
    """A dot with its name on the side away from the middle, or towards it where the dot is far out.

    The name has a box of its own, as circles may run below it. A point beyond the picture is an arrowhead at the edge,
    with its distance from the middle.
    """
    (x, y), length = place.tolist(), math.hypot(*place)
    marker, away = cast(Any, "o"), 6
    if (beyond := max(abs(x), abs(y)) / extent) > 1:
        marker, away = (
            (3, 0, math.degrees(math.atan2(y, x)) - 90),
            15,
        )  # points: past the outermost circle
        name = f"{name} at {length:,.0f}"
        x, y = 0.97 * x / beyond, 0.97 * y / beyond
    axes.plot(x, y, marker=marker, markersize=4.5, color=INK, zorder=5)
    inward = -1 if length > extent / 2 else 1
    across, up = (inward * at / (math.hypot(x, y) or 1.0) for at in (x, y))
    sides: tuple[Any, Any] = (_side(across, "right", "left"), _side(up, "top", "bottom"))
    offset = (away * across, away * up)
    letters: dict[str, Any] = {"fontsize": 7.5, "color": INK, "ha": sides[0], "va": sides[1]}
    box = {"boxstyle": "round,pad=0.12", "facecolor": PAGE, "edgecolor": "none"}
    axes.annotate(name, (x, y), offset, textcoords="offset points", bbox=box, zorder=4, **letters)


def _side(way: float, backward: str, forward: str) -> str:
    """Which side of a text is nearest to a point that it goes away from."""
    return "center" if abs(way) < 0.4 else forward if way > 0 else backward


def _title(axes: Axes, heading: str, circles: tuple[str, ...], misread: Array) -> None:
    shares = [
        f"{name} {percent(share)}"
        for name, share in zip(circles, misread.mean(-1).tolist(), strict=True)
    ]
    axes.set_title(heading, loc="left", color=INK, fontsize=8.5, pad=13)
    told = f"misread: {', '.join(shares)}"
    axes.annotate(
        told,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 3),
        textcoords="offset points",
        color=FAINT,
        fontsize=7,
    )


def percent(share: float) -> str:
    """A share in percent, with a digit after the point where only that tells it from none or all."""
    decimals = 1 if 0 < share < 0.01 or 0.99 < share < 1 else 0
    return f"{100 * share:.{decimals}f} %"


def area(label: int) -> str:
    """The colour of what is taken for a class."""
    return CLASSES[label % len(CLASSES)][1][0]


def line(label: int) -> str:
    """The colour of what is of a class."""
    return CLASSES[label % len(CLASSES)][0][0]


def _handles(kept: list[Regions]) -> list[Patch | Line2D]:
    """What stands in the legend: the classes, and an arc that is misread."""
    labels = sorted(
        {*(label for one in kept for label in one.labels), *np.unique([one.values for one in kept])}
    )
    classes: list[Patch | Line2D] = [
        Patch(facecolor=area(label), edgecolor=line(label), linewidth=THIN, label=f"class {label}")
        for label in labels
    ]
    return [*classes, Line2D([], [], color=FAINT, linewidth=THICK, label="misread")]
