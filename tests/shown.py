"""The numbers of a score as a report shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from invspec.analysis.intervals import intervals
from invspec.data import Outcomes, Row, Scored


@dataclass(frozen=True)
class Shown:
    """A row's number with its interval."""

    where: Mapping[str, str | float]
    value: float
    low: float
    high: float
    n: int


def shown(score: Scored | Sequence[Row]) -> list[Shown]:
    """The numbers of a score, or of rows, in their order."""
    rows = score.rows if isinstance(score, Scored) else score
    found = zip(rows, intervals(rows), strict=True)
    return [Shown(row.where, own.value, own.low, own.high, own.n) for row, own in found]


def outcomes(score: Scored) -> Tensor:
    """The values (N,) behind the one row of a score, float32."""
    return _outcomes(score).values.float()


def index(score: Scored) -> Tensor:
    """The units (N,) behind the one row of a score."""
    return _outcomes(score).index


def _outcomes(score: Scored) -> Outcomes:
    (row,) = score.rows
    assert row.outcomes is not None
    return row.outcomes
