"""How the lines of a table are split into panels, and how each line looks and is labelled."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from invspec.plan.coordinates import number
from invspec.plan.layouts import legend_names
from invspec.report.style import LineStyle, line_styles
from invspec.report.table import Line, RowLabels, Table

if TYPE_CHECKING:
    # what draws is slow to import, and a page of kept figures needs the texts alone
    from matplotlib.axes import Axes

# The ids of lines begin with this.
LINE = "invspecline"
# With more values than this of the first row coordinate, all lines share one panel.
MAX_PANELS = 6


def is_profile(table: Table) -> bool:
    """Whether the columns are positions on a numeric axis."""
    values = table.column_values
    return len(values) > 1 and all(number(value) is not None for value in values)


def panels_of(table: Table) -> dict[str, list[Line]]:
    """The lines of each panel, by its title.

    A profile has a panel for each value of the first row coordinate if that is a name, unless the
    legend begins with that coordinate. Bands have a panel for each combination of coordinates that
    neither their edges nor the legend distinguish.
    """
    if table.figure == "band":
        titles = [
            " ".join(filter(None, map(table.shown, line.labels[:-2]))) for line in table.lines
        ]
        return _by_title(table, titles)
    mentioned = tuple(legend_names(table.legend)[:1])
    in_legend = table.legend is not None and table.rows[:1] == mentioned
    if len(table.rows) < 2 or not is_profile(table) or in_legend:
        return {"": list(table.lines)}
    names = [table.shown(line.labels[0]) for line in table.lines]
    is_numeric = any(number(line.labels[0]) is not None for line in table.lines)
    if is_numeric or not 2 <= len(set(names)) <= MAX_PANELS:
        return {"": list(table.lines)}
    return _by_title(table, names)


def _by_title(table: Table, titles: Sequence[str]) -> dict[str, list[Line]]:
    panels: dict[str, list[Line]] = {}
    for line, title in zip(table.lines, titles, strict=True):
        panels.setdefault(title, []).append(line)
    return panels


def _within_panel(table: Table) -> slice:
    """The row coordinates that distinguish the lines of one panel; for bands, the bands."""
    if table.figure == "band":
        return slice(max(len(table.rows) - 2, 0), len(table.rows) - 1)
    return slice(1 if len(panels_of(table)) > 1 else 0, None)


def labels_in_panel(table: Table, line: Line) -> RowLabels:
    """The labels that distinguish a line from the others of its panel."""
    return line.labels[_within_panel(table)]


def names_in_panel(table: Table) -> tuple[str, ...]:
    """The coordinates that distinguish the lines of one panel."""
    return table.rows[_within_panel(table)]


def styles_of(table: Table) -> dict[RowLabels, LineStyle]:
    """The style of each line, by its labels within its panel."""
    return line_styles(labels_in_panel(table, line) for line in table.lines)


def legend_text(labels: RowLabels, table: Table) -> str:
    """The legend entry of a line: the legend text of the layout filled in, else its labels."""
    if table.legend is None:
        return " ".join(filter(None, map(table.shown, labels))) or "all"
    values = dict(zip(names_in_panel(table), labels, strict=True))
    return re.sub(r"{([^{}]*)}", lambda name: table.shown(values.get(name[1])), table.legend)


def legend_title(table: Table) -> str | None:
    """The names of the coordinates in the legend; None if the layout has a legend text."""
    names = names_in_panel(table) if table.legend is None else ()
    return "\n".join(table.axis(name).replace(" (", "\n(") for name in names) or None


def line_id(text: str) -> str:
    """What the lines of a legend entry are called in a page: 8 hex digits."""
    return f"{zlib.crc32(text.encode()):08x}"


def artist_id(axes: Axes, text: str) -> str:
    """A distinct id for what is drawn next on these axes, of the lines of a legend entry."""
    assert axes.figure is not None, "axes without a figure"
    place = axes.figure.axes.index(axes)
    return f"{LINE}-{line_id(text)}-{place}{len(axes.lines):05}{len(axes.collections):05}"


@dataclass(frozen=True)
class Panel:
    """One set of axes: some lines of a table."""

    title: str
    table: Table
    lines: Sequence[Line]

    @property
    def legend(self) -> dict[str, LineStyle]:
        """The style of each legend entry."""
        styles = styles_of(self.table)
        distinct = dict.fromkeys(labels_in_panel(self.table, line) for line in self.lines)
        return {legend_text(labels, self.table): styles[labels] for labels in distinct}
