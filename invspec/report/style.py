"""The hand in which all figures are drawn: colours on a white page and on a dark one, markers, type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from invspec.plan.coordinates import number
from invspec.report.table import Labels

INK, GRID, FAINT, PAGE = "#23262d", "#dfe1e6", "#6b7079", "#fdfdfc"


DARK_PAGE = {PAGE: "#1b1e23", INK: "#e6e8ec", GRID: "#363a42", FAINT: "#9ba1ab"}


# each colour as it is on a white page and on a dark one
SWEEP = (("#eda63a", "#d9485f", "#7d2e8d", "#23235f"), ("#f2b651", "#ee6f7f", "#b77bdc", "#8f9bff"))


KINDS = (  # Okabe and Ito's palette
    ("#0072b2", "#4fa8e0"),
    ("#009e73", "#3cc8a0"),
    ("#d55e00", "#f0854a"),
    ("#cc79a7", "#e3a2c5"),
    ("#56b4e9", "#85cdf5"),
    ("#e69f00", "#f2bd4b"),
    ("#666666", "#aaaaaa"),
)


# of classes: lines, in the colours of kinds, and areas, whose tints differ in lightness too
CLASSES = (
    (KINDS[0], ("#9cc2e4", "#173d5b")),
    (KINDS[2], ("#fbe0c6", "#87502f")),
    (KINDS[1], ("#86c5ad", "#0f4336")),
    (KINDS[3], ("#f6dcea", "#835571")),
    (KINDS[6], ("#c2c2c7", "#3a3c42")),
)


# from least to most; no colour is one of a sweep, since each has its own on a dark page
HEAT = (("#f6f6f2", "#eda63b", "#d94860", "#23235e"), ("#23262e", "#7b3a86", "#e0566a", "#f7d9a0"))


MARKERS = "osD^vPX"


STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "axes.linewidth": 0.7,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "invspec",
}


QUIET: dict[str, Any] = {"alignment": "left", "frameon": False}  # a legend


@dataclass(frozen=True)
class LineStyle:
    """How the lines of one row look: colour on a white page, on a dark one, and marker."""

    colour: str
    dark: str
    marker: str = "o"


def looks(rows: Iterable[Labels]) -> dict[Labels, LineStyle]:
    """Rows that differ by one number take the colours of a sweep in its order; others those of kinds."""
    distinct = list(dict.fromkeys(rows))
    swept = _sweep(distinct)
    found = _sweep_looks(swept) if len(swept) > 1 else {}
    others = [row for row in distinct if row not in found]
    for place, row in enumerate(others):
        colour, dark = KINDS[place % len(KINDS)]
        found[row] = LineStyle(colour, dark, MARKERS[(place + (len(swept) > 1)) % len(MARKERS)])
    return {row: found[row] for row in distinct}


def _sweep(rows: Sequence[Labels]) -> dict[Labels, float]:
    """The largest set of rows that differ by a single number, and that number."""
    families: dict[tuple[int, Labels], dict[Labels, float]] = {}
    for row in rows:
        for place, value in enumerate(row):
            if (at := number(value)) is not None:
                families.setdefault((place, (*row[:place], *row[place + 1 :])), {})[row] = at
    return max(families.values(), key=len, default={})


def _sweep_looks(swept: dict[Labels, float]) -> dict[Labels, LineStyle]:
    light, dark = (LinearSegmentedColormap.from_list("sweep", list(colours)) for colours in SWEEP)
    ranked = sorted(set(swept.values()))
    at = {row: ranked.index(value) / max(len(ranked) - 1, 1) for row, value in swept.items()}
    return {row: LineStyle(to_hex(light(place)), to_hex(dark(place))) for row, place in at.items()}


def handles(found: Mapping[str, LineStyle]) -> list[Line2D]:
    """What stands for each look in a legend."""
    return [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=3.4, linewidth=1.5)
        for look in found.values()
    ]


def legend(figure: Figure, found: Mapping[str, LineStyle], title: str | None) -> None:
    """One legend for the whole figure, on its right."""
    figure.legend(handles(found), list(found), title=title, loc="outside right center", **QUIET)


def bare(axes: Axes, grid: str = "y") -> None:
    """Axes without a frame, with a faint grid behind what is drawn."""
    axes.grid(axis=grid, color=GRID, linewidth=0.6)  # pyright: ignore[reportArgumentType]  # x, y or both
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=2.5, width=0.7)
