"""Grids of drawings: their titles and their unused axes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from invspec.report.drawings import Drawing
from invspec.report.table import RowLabels, Table

Drawings = Mapping[RowLabels, Drawing]

# Inches: the width of a page.
PAGE_WIDTH = 8.4


def titles(table: Table) -> list[str]:
    """A title for each drawing of a table: its labels, without those that all drawings share."""
    varies = [len(set(values)) > 1 for values in zip(*table.drawings, strict=True)]
    distinct = [itertools.compress(labels, varies) for labels in table.drawings]
    return [" ".join(filter(None, map(table.shown, labels))) for labels in distinct]


def hide_unused(grid: Any, used: int) -> None:
    """Hide the axes of a grid behind the first `used`."""
    for axes in list(grid.flat)[used:]:
        axes.set_axis_off()
