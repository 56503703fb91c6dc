"""Draw the figures of tables, save them as files, put them into pages."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from invspec.report import captions
from invspec.report.figures import groups, images, matrices, planes, profiles, regions
from invspec.report.figures.inline import Entry, Inline, variable
from invspec.report.figures.panels import LINE, styles_of
from invspec.report.pictures import compact, with_classes
from invspec.report.style import CLASSES, DARK_PAGE, FAINT, INK, PALETTE, SIGNS, STYLE
from invspec.report.table import Table

# Letters of a title and of the note below a figure.
LETTERS_PER_INCH, SMALL_LETTERS_PER_INCH = 9, 16
# Scale of a figure on a page, so that its 8.5-point text matches the page's small text.
REM_PER_INCH = 7.2
DPI = 200


def draw(tables: Sequence[Table], framed: bool = True, width: float | None = None) -> Figure | None:
    """The figure of some tables; None if they have no numbers yet, or one that needs no figure.

    framed: with title and note, for a figure that stands alone. width: that of a chart in inches,
    whose legend is then below (default: what its panels take).
    """
    if not groups.is_drawn(tables):
        return None
    with matplotlib.rc_context(STYLE):
        figure = _draw(tables, framed, width)
        if framed:
            _add_frame(figure, tables)
        return figure


def _draw(tables: Sequence[Table], framed: bool, width: float | None) -> Figure:
    table = tables[0]
    match table.figure:
        case "plane":
            return planes.draw(table, table.others[0], framed, width)
        case "heatmap":
            return matrices.heatmaps(table, framed)
        case "matrix":
            return matrices.matrices(table, framed)
        case "images":
            return images.draw(table, framed)
        case "regions":
            return regions.draw(table, framed)
        case "profile" | "beside" | "band":
            blocks = [block for table in tables for block in table.blocks]
            return profiles.draw(blocks, framed, width)
        case "none":
            raise AssertionError("a table without a figure")


def _add_frame(figure: Figure, tables: Sequence[Table]) -> None:
    """Add the title above and a note on sample sizes, metric and intervals below."""
    first = tables[0]
    numbers = [number for table in tables for number in table.all_numbers]
    parts = filter(None, [captions.sample_sizes(numbers), first.metric, first.remark])
    width = figure.get_figwidth()
    title = textwrap.fill(first.title, int(width * LETTERS_PER_INCH))
    note = textwrap.fill("; ".join(parts), int(width * SMALL_LETTERS_PER_INCH))
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold", color=INK)
    figure.supxlabel(note, x=0.01, ha="left", fontsize=7, color=FAINT)


def save(tables: Sequence[Table], path: Path) -> Path | None:
    """Save a figure as PNG at path and as SVG beside it; None if there is nothing to draw yet."""
    figure = draw(tables)
    if figure is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        FigureCanvasAgg(figure)
        figure.savefig(path, dpi=DPI, facecolor="white")
    path.with_suffix(".svg").write_text(_svg(figure), encoding="utf-8")
    return path


def pdf(tables: Sequence[Table], width: float) -> bytes | None:
    """A figure for a paper as PDF, without title and note; None if there is nothing to draw yet.

    width: that of a chart in inches; pictures have the size that their images take.
    """
    figure = draw(tables, framed=False, width=width)
    if figure is None:
        return None
    content = io.BytesIO()
    # Without a date, equal figures give equal files.
    metadata = {"CreationDate": None, "Creator": "invspec", "Producer": None}
    with matplotlib.rc_context(STYLE):
        FigureCanvasPdf(figure)
        figure.savefig(content, format="pdf", metadata=metadata)
    return content.getvalue()


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    # Without a date, equal figures give equal files.
    metadata = {"Date": None, "Creator": "invspec"}
    with matplotlib.rc_context(STYLE):
        FigureCanvasSVG(figure)
        figure.savefig(text, format="svg", transparent=True, metadata=metadata)
    return text.getvalue()


# ─ figures in a page ──────────────────────────────────────────────────────────────────────────────


def inline(tables: Sequence[Table], prefix: str) -> Inline | None:
    """The figure for a page: colours are CSS variables, ids begin with prefix."""
    figure = draw(tables, framed=False)
    if figure is None:
        return None
    title, legend = _taken_legend(figure)
    text = re.sub(rf'id="{LINE}-([0-9a-f]+)-\d+"', r'class="line" data-line="\1"', _svg(figure))
    text = compact(text)
    return Inline(_embedded(text, figure, prefix), dark_colours(tables), legend, title)


def _taken_legend(figure: Figure) -> tuple[str, tuple[Entry, ...]]:
    """The title and the entries of a figure's legend of lines, which is removed from it."""
    legends = [legend for legend in figure.legends if _is_of_lines(legend)]
    for legend in legends:
        legend.remove()
    if not legends:
        return "", ()
    handles = zip(legends[0].get_texts(), legends[0].legend_handles, strict=True)
    entries = tuple(
        Entry(text.get_text(), _css(to_hex(line.get_color())), SIGNS[str(line.get_marker())])
        for text, line in handles
        if isinstance(line, Line2D)
    )
    return legends[0].get_title().get_text().replace("\n", " "), entries


def _is_of_lines(legend: Legend) -> bool:
    return all(isinstance(handle, Line2D) for handle in legend.legend_handles)


def _css(colour: str) -> str:
    return f"var({variable(colour)}, {colour})"


def _embedded(text: str, figure: Figure, prefix: str) -> str:
    text = text[text.index("<svg") :]
    width = figure.get_figwidth() * REM_PER_INCH
    text = re.sub(r'\swidth="[^"]*pt"|\sheight="[^"]*pt"', "", text, count=2)
    text = text.replace("<svg", f'<svg style="max-width: {width:.1f}rem"', 1)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    coloured = re.sub(r"#[0-9a-f]{6}\b", lambda colour: _css(colour[0]), text)
    return with_classes(coloured, prefix)


def dark_colours(tables: Sequence[Table]) -> dict[str, str]:
    """The colour on a dark page of every colour in the figures of these tables."""
    lines = {style.colour: style.dark for table in tables for style in styles_of(table).values()}
    has_drawings = any(table.drawings for table in tables)
    has_regions = any(table.figure == "regions" for table in tables)
    scale = matrices.dark_colours() if has_drawings else {}
    areas = dict(area for _, area in CLASSES) if has_regions else {}
    return DARK_PAGE | dict(PALETTE) | scale | areas | lines
