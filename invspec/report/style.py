"""Figure style: colours on a white and on a dark page, markers, fonts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from invspec.plan.coordinates import number
from invspec.report.table import RowLabels

INK, GRID, FAINT, PAGE = "#23262d", "#dfe1e6", "#6b7079", "#fdfdfc"
DARK_PAGE = {PAGE: "#1b1e23", INK: "#e6e8ec", GRID: "#363a42", FAINT: "#9ba1ab"}

# Stops of the colour scale of a sweep: on a white page, on a dark page.
SWEEP = (("#eda63a", "#d9485f", "#7d2e8d", "#23235f"), ("#f2b651", "#ee6f7f", "#b77bdc", "#8f9bff"))

# The palette of Okabe and Ito, distinguishable without red-green vision: white page, dark page.
PALETTE = (
    ("#0072b2", "#4fa8e0"),
    ("#009e73", "#3cc8a0"),
    ("#d55e00", "#f0854a"),
    ("#cc79a7", "#e3a2c5"),
    ("#56b4e9", "#85cdf5"),
    ("#e69f00", "#f2bd4b"),
    ("#666666", "#aaaaaa"),
)

# For each of ten classes its line colour and its area colour. Areas of neighbouring classes also
# differ in lightness, so that they can be told apart without colour vision.
CLASSES = (
    (PALETTE[0], ("#9cc2e4", "#173d5b")),
    (PALETTE[2], ("#fbe0c6", "#87502f")),
    (PALETTE[1], ("#86c5ad", "#0f4336")),
    (PALETTE[3], ("#f6dcea", "#835571")),
    (PALETTE[6], ("#c2c2c7", "#3a3c42")),
    (("#2b87b8", "#8fd0f2"), ("#d8f1fc", "#2c6a88")),
    (("#8a5a00", "#f2bd4c"), ("#dcae55", "#4b370c")),
    (("#6a4fb0", "#bfaaf2"), ("#e4daf7", "#66529a")),
    (("#8c2452", "#dd7ba6"), ("#d69bb8", "#4f1a34")),
    (("#857b00", "#d3c94a"), ("#f5f0ac", "#6d671c")),
)

# Stops of the heat map scale, from low to high. No stop equals one of SWEEP: a page replaces
# colours by value, and the two scales have different colours on a dark page.
HEAT = (("#f6f6f2", "#eda63b", "#d94860", "#23235e"), ("#23262e", "#7b3a86", "#e0566a", "#f7d9a0"))

MARKERS = "osD^vPX"
# the same as characters, for a legend in HTML
SIGNS = dict(zip(MARKERS, "●■◆▲▼✚✖", strict=True))

# svg.fonttype none keeps text as text, and pdf.fonttype 42 embeds the font as text of a paper must
# be. A fixed hashsalt makes the ids in an SVG reproducible.
STYLE: dict[Any, Any] = {
    # a dollar sign in a title or name is printed as it is
    "text.parse_math": False,
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
    "pdf.fonttype": 42,
    "svg.hashsalt": "invspec",
}


@dataclass(frozen=True)
class LineStyle:
    """Colour of a line on a white page and on a dark one, and its marker."""

    colour: str
    dark: str
    marker: str = "o"


def line_styles(rows: Iterable[RowLabels]) -> dict[RowLabels, LineStyle]:
    """A style for each row.

    Rows that differ only in a number take colours of the sweep scale, in the order of that number;
    all other rows take colours of the palette.
    """
    distinct = list(dict.fromkeys(rows))
    swept = _largest_sweep(distinct)
    styles = _sweep_styles(swept) if len(swept) > 1 else {}
    others = [row for row in distinct if row not in styles]
    # The sweep uses the first marker, so the other rows start with the second.
    first_marker = int(len(swept) > 1)
    for position, row in enumerate(others):
        colour, dark = PALETTE[position % len(PALETTE)]
        marker = MARKERS[(position + first_marker) % len(MARKERS)]
        styles[row] = LineStyle(colour, dark, marker)
    return {row: styles[row] for row in distinct}


def _largest_sweep(rows: Sequence[RowLabels]) -> dict[RowLabels, float]:
    """The largest set of rows that differ only in one number, each row with that number."""
    families: dict[tuple[int, RowLabels], dict[RowLabels, float]] = {}
    for row in rows:
        for position, label in enumerate(row):
            if (value := number(label)) is not None:
                family = (position, (*row[:position], *row[position + 1 :]))
                families.setdefault(family, {})[row] = value
    return max(families.values(), key=len, default={})


def _sweep_styles(swept: dict[RowLabels, float]) -> dict[RowLabels, LineStyle]:
    # matplotlib is slow to import
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    light, dark = (LinearSegmentedColormap.from_list("sweep", list(stops)) for stops in SWEEP)
    ranked = sorted(set(swept.values()))
    ranks = {row: ranked.index(value) / max(len(ranked) - 1, 1) for row, value in swept.items()}
    return {row: LineStyle(to_hex(light(rank)), to_hex(dark(rank))) for row, rank in ranks.items()}
