"""Tables as values, independent of how they are printed or drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from invspec.analysis.estimator import Summary
from invspec.analysis.published import Comparison
from invspec.report.drawings import Drawing
from invspec.spec.schema import FigureKind, Scalar

# The values of the row coordinates; None where a row has no such coordinate.
RowLabels = tuple[Scalar | None, ...]

# Shares are drawn on the axis 0 to 1, but only if an interval reaches beyond this: small distances
# are also in [0, 1] and would be squeezed to its lower edge.
LARGE_SHARE = 0.5
SHARE_DECIMALS, MAX_DECIMALS = 3, 6


@dataclass(frozen=True)
class Line:
    """A row of a table: its labels and one number per column, None where it is missing."""

    labels: RowLabels
    numbers: tuple[Summary | None, ...]


@dataclass(frozen=True)
class Table:
    """One measure laid out in rows and columns.

    rows and columns name coordinates, headings gives them with their units, column_values are the
    values along the columns. fixed holds the coordinates that the layout fixes. drawings are the
    pictures of the scores, keyed by the coordinates that differ between them. metric names the
    distance that the measure uses, remark explains the figure. against, for a plane, is the table
    of the second measure, with the same rows. comparisons are the paper's numbers beside ours.
    problem says why a figure or the paper's numbers are left out.
    """

    title: str
    summary: str
    measure: str
    rows: tuple[str, ...]
    columns: str
    column_values: RowLabels
    lines: tuple[Line, ...]
    headings: Mapping[str, str]
    fixed: Mapping[str, Scalar]
    figure: FigureKind
    legend: str | None = None
    drawings: Mapping[RowLabels, Drawing] = field(default_factory=dict[RowLabels, Drawing])
    metric: str = ""
    remark: str = "95 % intervals"
    against: Table | None = None
    comparisons: tuple[Comparison, ...] = ()
    problem: str = ""

    @cached_property
    def numbers(self) -> list[Summary]:
        """All numbers that are present."""
        return [number for line in self.lines for number in line.numbers if number is not None]

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
        """Decimals to print: three for shares, else two significant digits of the median margin."""
        margins = sorted(number.margin for number in self.numbers if 0 < number.margin < math.inf)
        if self.is_share or not margins:
            return SHARE_DECIMALS
        median = margins[len(margins) // 2]
        return min(max(1 - math.floor(math.log10(median)), 0), MAX_DECIMALS)
