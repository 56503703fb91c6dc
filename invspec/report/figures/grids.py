"""Grids of pictures: their titles and their unused axes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from invspec.plan.coordinates import shown
from invspec.report.payloads import Picture
from invspec.report.table import RowLabels

Pictures = Mapping[RowLabels, Picture]

# Inches: the width of a page.
PAGE_WIDTH = 8.4


def titles(pictures: Pictures) -> list[str]:
    """A title for each picture: its labels, without those that all pictures share."""
    varies = [len(set(values)) > 1 for values in zip(*pictures, strict=True)]
    distinct = [itertools.compress(labels, varies) for labels in pictures]
    return [" ".join(filter(None, map(shown, labels))) for labels in distinct]


def hide_unused(grid: Any, used: int) -> None:
    """Hide the axes of a grid behind the first `used`."""
    for axes in list(grid.flat)[used:]:
        axes.set_axis_off()
