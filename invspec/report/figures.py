"""Tables as figures: a line and its band a row, dots where the columns are no numbers, or what the scores kept.

A figure is of one table, or of several that stand beside each other.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from invspec.analysis.readings import Number
from invspec.plan.coordinates import number, shown
from invspec.plan.layouts import legend_names
from invspec.report import pictures, regions, table
from invspec.report.style import (
    CLASSES,
    DARK_PAGE,
    FAINT,
    INK,
    KINDS,
    QUIET,
    STYLE,
    LineStyle,
    bare,
    handles,
    legend,
    looks,
)
from invspec.report.table import Labels, Line, Table

LARGEST_GRID = 6  # panels; more rows of a kind share one
PANEL = (3.1, 2.5)  # inches
LETTERS_PER_INCH, SMALL_LETTERS_PER_INCH = 9, 16  # of a title, of the note below
TICK_LETTERS = 28  # below a panel
REM_PER_INCH = 7.2  # on a page: what brings 8.5 points to the size of its small text


def together(tables: Iterable[Table]) -> list[list[Table]]:
    """The tables of each figure: those that stand beside another are in its list."""
    found: list[list[Table]] = []
    for one in tables:
        if one.figure == "beside" and found:
            found[-1].append(one)
        elif one.figure != "none":
            found.append([one])
    return found


def draw(tables: Sequence[Table], framed: bool = True) -> Figure | None:
    """The figure of some tables, None where they have no number yet. framed: with title and note, to stand alone."""
    if not any(one.numbers for one in tables):
        return None
    with matplotlib.rc_context(STYLE):
        figure = _figure(tables, framed)
        if framed:
            _frame(figure, tables)
        return figure


def _figure(tables: Sequence[Table], framed: bool) -> Figure:
    match tables[0]:
        case Table(against=Table() as against) as one:
            return _plane(one, against, framed)
        case Table(figure="heatmap") as one:
            return pictures.heatmaps(one.pictures, framed)
        case Table(figure="matrix") as one:
            return pictures.matrices(one.pictures, framed)
        case Table(figure="images") as one:
            return pictures.images(one.pictures, framed)
        case Table(figure="regions") as one:
            return regions.planes(one.pictures, framed)
        case _:
            return _profiles(tables, framed)


def write(tables: Sequence[Table], path: Path) -> Path | None:
    """Save a figure as PNG at path and as SVG beside it; None where there is nothing to draw yet."""
    figure = draw(tables)
    if figure is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        FigureCanvasAgg(figure)
        figure.savefig(path, dpi=200, facecolor="white")
    path.with_suffix(".svg").write_text(_svg(figure), encoding="utf-8")
    return path


def inline(tables: Sequence[Table], prefix: str) -> str | None:
    """The figure as an <svg> element of a page, its colours CSS variables, its ids beginning with prefix."""
    figure = draw(tables, framed=False)
    if figure is None:
        return None
    text = _svg(figure)
    text = text[text.index("<svg") :]
    width = figure.get_figwidth() * REM_PER_INCH
    text = re.sub(r'\swidth="[^"]*pt"|\sheight="[^"]*pt"', "", text, count=2)
    text = text.replace("<svg", f'<svg style="max-width: {width:.1f}rem"', 1)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: f"var({variable(found[0])}, {found[0]})", text)


def variable(colour: str) -> str:
    """The CSS variable that stands for a colour of a figure."""
    return f"--c-{colour[1:]}"


def dark_colours(tables: Sequence[Table]) -> dict[str, str]:
    """What every colour of these tables' figures is on a dark page."""
    lines = {look.colour: look.dark for one in tables for look in styles_of(one).values()}
    kept = pictures.dark() if any(one.pictures for one in tables) else {}
    areas = (
        dict(area for _, area in CLASSES) if any(one.figure == "regions" for one in tables) else {}
    )
    return DARK_PAGE | dict(KINDS) | kept | areas | lines


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    with matplotlib.rc_context(STYLE):
        FigureCanvasSVG(figure)
        figure.savefig(
            text, format="svg", transparent=True, metadata={"Date": None, "Creator": "invspec"}
        )
    return text.getvalue()


# ─ which rows go where, and how they look ─────────────────────────────────────────────────────────────────────────────


def is_profile(one: Table) -> bool:
    """Whether the columns are places on a numeric axis."""
    return len(one.across) > 1 and all(number(place) is not None for place in one.across)


def panels_of(one: Table) -> dict[str, list[Line]]:
    """The lines of each panel, by its title.

    Profiles have a panel for each value of the first row coordinate, if it is a name; a legend that begins with that
    coordinate keeps all lines in one. Bands have a panel for whatever their edges and the legend do not tell apart.
    """
    if one.figure == "band":
        return _by_title(
            one, [" ".join(filter(None, map(shown, line.labels[:-2]))) for line in one.lines]
        )
    told = one.legend is not None and one.rows[:1] == tuple(legend_names(one.legend)[:1])
    several = len(one.rows) > 1 and is_profile(one) and not told
    names = [shown(line.labels[0]) for line in one.lines] if several else []
    numeric = any(number(line.labels[0]) is not None for line in one.lines) if names else False
    if numeric or not 2 <= len(set(names)) <= LARGEST_GRID:
        return {"": list(one.lines)}
    return _by_title(one, names)


def _by_title(one: Table, titles: Sequence[str]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line, title in zip(one.lines, titles, strict=True):
        found.setdefault(title, []).append(line)
    return found


def _told_apart(one: Table) -> slice:
    """Which row coordinates tell a line from the others of its panel; of bands, all but that of their edges."""
    if one.figure == "band":
        return slice(max(len(one.rows) - 2, 0), len(one.rows) - 1)
    return slice(1 if len(panels_of(one)) > 1 else 0, None)


def _own(one: Table, line: Line) -> Labels:
    """What tells a line from the others of its panel."""
    return line.labels[_told_apart(one)]


def styles_of(one: Table) -> dict[Labels, LineStyle]:
    """How each line looks, by what tells it from the others of its panel."""
    return looks(_own(one, line) for line in one.lines)


def label(own: Labels, one: Table) -> str:
    """A row in the legend, in the words of the layout where it has some."""
    if one.legend is None:
        return " ".join(text for text in map(shown, own) if text) or "all"
    told = dict(zip(_own_names(one), own, strict=True))
    return re.sub(r"{([^{}]*)}", lambda found: shown(told.get(found[1])), one.legend)


def _own_names(one: Table) -> tuple[str, ...]:
    """The coordinates that tell a line from the others of its panel."""
    return one.rows[_told_apart(one)]


# ─ drawing ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Panel:
    """One set of axes: some lines of a table."""

    title: str
    table: Table
    lines: Sequence[Line]

    @property
    def legend(self) -> dict[str, LineStyle]:
        """How the text of each line looks."""
        known = styles_of(self.table)
        own = dict.fromkeys(_own(self.table, line) for line in self.lines)
        return {label(row, self.table): known[row] for row in own}


def _profiles(tables: Sequence[Table], framed: bool) -> Figure:
    panels = [Panel(title, one, lines) for one in tables for title, lines in panels_of(one).items()]
    legends = [panel.legend for panel in panels]
    shared = (
        all(legend.items() <= legends[0].items() for legend in legends) if len(tables) > 1 else True
    )
    count = max(len(styles_of(one)) for one in tables)
    across = min(len(panels), 3)
    down = math.ceil(len(panels) / across)
    wide = 1.35 if len(panels) == 1 else 1.15 if len(tables) > 1 else 1.0
    height = PANEL[1] * down * (1.1 if wide > 1 else 1.0) + (0.55 if framed else 0.15)
    size = (PANEL[0] * across * wide + (1.7 if shared and count > 1 else 0.0), height)
    figure = Figure(figsize=size, layout="constrained")
    alike = len(tables) == 1
    grid = figure.subplots(down, across, sharex=alike, sharey=alike, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        axes.set_title(panel.title, loc="left", color=INK)
        _panel(axes, panel)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    _label(grid, panels)
    if count > 1:
        _legends(figure, grid, panels, shared)
    return figure


def _frame(figure: Figure, tables: Sequence[Table]) -> None:
    """Title above, and below what the numbers rest on."""
    first, against = tables[0], [one.against for one in tables if one.against is not None]
    numbers = [number for one in (*tables, *against) for number in one.numbers]
    title = textwrap.fill(first.title, int(figure.get_figwidth() * LETTERS_PER_INCH))
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold", color=INK)
    foot = "; ".join(filter(None, [table.note(numbers), first.metric, first.remark]))
    foot = textwrap.fill(foot, int(figure.get_figwidth() * SMALL_LETTERS_PER_INCH))
    figure.supxlabel(foot, x=0.01, ha="left", fontsize=7, color=FAINT)


def _panel(axes: Axes, panel: Panel) -> None:
    one, lines, known = panel.table, panel.lines, styles_of(panel.table)
    positions = (
        [place for place in map(number, one.across) if place is not None]
        if is_profile(one)
        else None
    )
    if positions is not None and one.figure == "band":
        bands = _bands(one, lines)
        for own, edges in bands.items():
            _band(axes, positions, edges, known[own], shade=min(0.2, 0.5 / len(bands)))
    else:
        _rows(axes, panel, positions, known)
    _ticks(axes, one, positions)
    bare(axes)
    if one.is_share:
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])


def _rows(
    axes: Axes, panel: Panel, positions: Sequence[float] | None, known: Mapping[Labels, LineStyle]
) -> None:
    one, lines = panel.table, panel.lines
    for rank, line in enumerate(lines):
        look = known[_own(one, line)]
        if positions is not None:
            _profile(axes, positions, line.numbers, look)
        else:
            shift = (rank - (len(lines) - 1) / 2) * 0.7 / max(len(lines), 1)
            _dots(axes, [place + shift for place in range(len(one.across))], line.numbers, look)


def _bands(one: Table, lines: Sequence[Line]) -> dict[Labels, list[Line]]:
    """The lines of each band, the lowest edge first."""
    found: dict[Labels, list[Line]] = {}
    for line in lines:
        found.setdefault(_own(one, line), []).append(line)
    return {
        own: sorted(edges, key=lambda edge: number(edge.labels[-1]) or 0.0)
        for own, edges in found.items()
    }


def _band(
    axes: Axes, positions: Sequence[float], edges: Sequence[Line], look: LineStyle, shade: float
) -> None:
    """From the first line to the last, which are drawn; those between are dashed."""
    order = sorted(range(len(positions)), key=lambda place: positions[place])
    x = [positions[place] for place in order]
    heights = [_values([edge.numbers[place] for place in order], "value") for edge in edges]
    axes.fill_between(x, heights[0], heights[-1], color=look.colour, alpha=shade, linewidth=0)
    drawn: dict[str, Any] = {"color": look.colour, "clip_on": False, "zorder": 3}
    for rank, height in enumerate(heights):
        if rank in (0, len(heights) - 1):
            axes.plot(x, height, linewidth=1.2, marker=look.marker, markersize=2.8, **drawn)
        else:
            axes.plot(x, height, linewidth=0.9, linestyle=(0, (3, 2)), **drawn)


def _profile(
    axes: Axes, positions: Sequence[float], numbers: Sequence[Number | None], look: LineStyle
) -> None:
    order = sorted(range(len(positions)), key=lambda place: positions[place])
    x = [positions[place] for place in order]
    found = [numbers[place] for place in order]
    value, low, high = (_values(found, name) for name in ("value", "low", "high"))
    axes.fill_between(x, low, high, color=look.colour, alpha=0.18, linewidth=0)
    axes.plot(
        x,
        value,
        color=look.colour,
        linewidth=1.5,
        marker=look.marker,
        markersize=3.4,
        clip_on=False,
        zorder=3,
    )


def _values(numbers: Sequence[Number | None], name: str) -> list[float]:
    return [math.nan if one is None else getattr(one, name) for one in numbers]


def _dots(
    axes: Axes, positions: Sequence[float], numbers: Sequence[Number | None], look: LineStyle
) -> None:
    for x, one in zip(positions, numbers, strict=True):
        if one is not None:
            axes.plot(
                [x, x],
                [one.low, one.high],
                color=look.colour,
                linewidth=1.3,
                solid_capstyle="butt",
                zorder=2,
            )
            axes.plot(
                [x],
                [one.value],
                color=look.colour,
                marker=look.marker,
                markersize=3.6,
                clip_on=False,
                zorder=3,
            )


def _ticks(axes: Axes, one: Table, positions: Sequence[float] | None) -> None:
    if positions is None:
        names = [shown(place) or "none" for place in one.across]
        wide = max(map(len, names)) * len(names) > TICK_LETTERS  # in a row they would touch
        slanted: dict[str, Any] = (
            {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if wide else {}
        )
        axes.set_xticks(range(len(names)), names, **slanted)
        axes.set_xlim(-0.6, len(one.across) - 0.4)
        return
    nearest = min(
        abs(a - b) for a, b in zip(sorted(positions), sorted(positions)[1:], strict=False)
    )
    if nearest > (max(positions) - min(positions)) / 11:  # else the labels would touch
        axes.set_xticks(list(positions), [shown(place) for place in one.across])
    else:
        axes.xaxis.set_major_locator(
            MaxNLocator(6, integer=all(place == int(place) for place in positions))
        )
    axes.margins(x=0.03)


def _label(grid: Any, panels: Sequence[Panel]) -> None:
    across, alone = grid.shape[1], len({id(panel.table) for panel in panels}) == 1
    for place, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
        if place + across >= len(panels) or not alone:
            axes.set_xlabel(panel.table.headings[panel.table.columns])
            axes.xaxis.set_tick_params(labelbottom=True)
        if place % across == 0 or not alone:
            axes.set_ylabel(panel.table.measure)


def _legends(figure: Figure, grid: Any, panels: Sequence[Panel], shared: bool) -> None:
    """One legend beside the panels where it serves them all, else one in each."""
    if shared:
        found = {text: look for panel in panels for text, look in panel.legend.items()}
        legend(figure, found, _told(panels[0].table))
        return
    for axes, panel in zip(grid.flat, panels, strict=False):
        axes.legend(
            handles(panel.legend), list(panel.legend), title=_told(panel.table), loc="best", **QUIET
        )


def _told(one: Table) -> str | None:
    """The title of a legend: the coordinates that its lines have, unless the layout has words of its own."""
    names = _own_names(one) if one.legend is None else ()
    return "\n".join(one.headings[name].replace(" (", "\n(") for name in names) or None


def _plane(one: Table, other: Table, framed: bool) -> Figure:
    """A point a row, one measure across and the other upwards, both with their intervals.

    The front is drawn as if more of either measure were better.
    """
    upwards = {line.labels: line.numbers[0] for line in other.lines}
    pairs = {line.labels: (line.numbers[0], upwards.get(line.labels)) for line in one.lines}
    points = {row: (x, y) for row, (x, y) in pairs.items() if x is not None and y is not None}
    figure = Figure(figsize=(6.4, 3.6 + (0.5 if framed else 0.0)), layout="constrained")
    axes, own = figure.subplots(), styles_of(one)
    best = front([(x.value, y.value) for x, y in points.values()])
    axes.plot(*zip(*best, strict=True), color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for row, (x, y) in points.items():
        look = own[row]
        axes.plot([x.low, x.high], [y.value, y.value], color=look.colour, linewidth=1.1)
        axes.plot([x.value, x.value], [y.low, y.high], color=look.colour, linewidth=1.1)
        axes.plot(
            [x.value],
            [y.value],
            color=look.colour,
            marker=look.marker,
            markersize=5,
            linestyle="none",
        )
    axes.set_xlabel(_place(one))
    axes.set_ylabel(_place(other))
    bare(axes, "both")
    legend(figure, {label(row, one): own[row] for row in points}, _told(one))
    return figure


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other one is at least as good as on both axes and better on one, from left to right."""
    kept: list[tuple[float, float]] = []
    for x, y in sorted(set(points), reverse=True):
        if not kept or y > kept[-1][1]:
            kept.append((x, y))
    return kept[::-1]


def _place(one: Table) -> str:
    """A measure and where on its attacks it is taken: robust_accuracy at pgd.eps 8/255."""
    fixed = [f"{name} {shown(value)}" for name, value in one.fixed.items() if "." in name]
    return " ".join([one.measure, *(["at", ", ".join(fixed)] if fixed else [])])
