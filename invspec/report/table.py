"""Tables as values, independent of how they are printed or drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from invspec.analysis.estimator import Summary
from invspec.analysis.published import Comparison
from invspec.plan import coordinates
from invspec.report.drawings import Drawing
from invspec.spec.layouts import MAX_DECIMALS, Best
from invspec.spec.schema import FigureKind, Scalar

# The values of the row coordinates; None where a row has no such coordinate.
RowLabels = tuple[Scalar | None, ...]

# Shares are drawn on the axis 0 to 1, but only if an interval reaches beyond this: small distances
# are also in [0, 1] and would be squeezed to its lower edge.
LARGE_SHARE = 0.5
SHARE_DECIMALS = 3


@dataclass(frozen=True)
class Line:
    """A row of a table: its labels and one number per column, None where it is missing.

    blank holds the columns for which the spec has no number at all.
    """

    labels: RowLabels
    numbers: tuple[Summary | None, ...]
    blank: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Table:
    """One measure laid out in rows and columns, and perhaps others beside it.

    rows and columns name coordinates; columns is None where nothing runs across. headings gives
    them with their units, column_values are the values along the columns. fixed holds the
    coordinates that the layout fixes. drawings are the pictures of the scores, keyed by the
    coordinates that differ between them. metric names the distance that the measure uses, remark
    explains the figure. others are the tables of further measures with the same rows, which stand
    to the right. comparisons are the paper's numbers beside ours. problem says why a figure or the
    paper's numbers are left out.

    names are what measures, coordinates and values are called where it is not their own text.
    in_percent says whether numbers are shown times 100, digits how many are shown after the point,
    and best which end of a column is printed in bold.
    """

    title: str
    summary: str
    measure: str
    rows: tuple[str, ...]
    columns: str | None
    column_values: RowLabels
    lines: tuple[Line, ...]
    headings: Mapping[str, str]
    fixed: Mapping[str, Scalar]
    figure: FigureKind
    legend: str | None = None
    drawings: Mapping[RowLabels, Drawing] = field(default_factory=dict[RowLabels, Drawing])
    metric: str = ""
    remark: str = "95 % intervals"
    others: tuple[Table, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    problem: str = ""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    in_percent: bool = False
    digits: int | None = None
    best: Best | None = None

    @property
    def blocks(self) -> tuple[Table, ...]:
        """The tables of all measures, from left to right."""
        return (self, *self.others)

    @cached_property
    def numbers(self) -> list[Summary]:
        """All numbers of the first measure that are present."""
        return [number for line in self.lines for number in line.numbers if number is not None]

    @cached_property
    def all_numbers(self) -> list[Summary]:
        """All numbers of all measures that are present."""
        return [number for block in self.blocks for number in block.numbers]

    @property
    def has_missing(self) -> bool:
        """Whether some number of some measure is not computed yet."""
        return any(
            number is None and column not in line.blank
            for block in self.blocks
            for line in block.lines
            for column, number in enumerate(line.numbers)
        )

    @cached_property
    def may_be_shares(self) -> bool:
        """Whether all intervals are in [0, 1], as those of shares and small distances are."""
        return all(number.low >= 0 and number.high <= 1 for number in self.numbers)

    @cached_property
    def is_share(self) -> bool:
        """Whether all intervals are within [0, 1] and at least one reaches the upper half."""
        most = max((number.high for number in self.numbers), default=0.0)
        return self.may_be_shares and most > LARGE_SHARE

    @cached_property
    def decimals(self) -> int:
        """Decimals of a number as it is, not times 100, unless the layout says how many.

        Three for shares, else two significant digits of the median margin.
        """
        if self.digits is not None:
            return self.digits + (2 if self.in_percent else 0)
        margins = sorted(number.margin for number in self.numbers if 0 < number.margin < math.inf)
        if self.is_share or not margins:
            return SHARE_DECIMALS
        median = margins[len(margins) // 2]
        return min(max(1 - math.floor(math.log10(median)), 0), MAX_DECIMALS)

    @cached_property
    def best_of_columns(self) -> list[Summary | None]:
        """The highest or lowest number of each column with several, if the layout asks for it."""
        columns = zip(*(line.numbers for line in self.lines), strict=True)
        present = [[number for number in column if number is not None] for column in columns]
        choose = max if self.best == "highest" else min
        return [
            choose(column, key=lambda number: number.value)
            if self.best and len(column) > 1
            else None
            for column in present
        ]

    def shown(self, value: Scalar | None) -> str:
        """A value of a coordinate as the layout calls it."""
        text = coordinates.shown(value)
        return self.names.get(text, text)

    def named(self, name: str) -> str:
        """A measure or coordinate as the layout calls it."""
        return self.names.get(name, name)

    @property
    def called(self) -> str:
        """The measure as the layout calls it."""
        return self.named(self.measure)

    def axis(self, name: str) -> str:
        """A measure or coordinate as the axis of a figure has it: pgd eps (pixels in [0, 1])."""
        if name in self.names:
            return self.names[name]
        words, bracket, unit = self.headings.get(name, name).partition(" (")
        return f"{words.replace('.', ' ').replace('_', ' ')}{bracket}{unit}"
