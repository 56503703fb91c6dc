"""Gauges: a small picture of a verdict, its interval beside the range that the claim expects."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from invspec.analysis.claims import Verdict

# The width of a gauge in its own units, those of the SVG's viewBox in the template.
WIDTH = 240.0
# The axis extends beyond its outermost mark by this share of its length.
MARGIN = 0.18


@dataclass(frozen=True)
class Gauge:
    """Places of the expected range, the interval and the published value, from 0 to WIDTH."""

    range_start: float
    range_width: float
    low: float
    value: float
    high: float
    published: float | None


def gauge(verdict: Verdict) -> Gauge | None:
    """The gauge of a verdict; None if it has no finite value."""
    value, low, high = verdict.value, verdict.low, verdict.high
    if value is None or low is None or high is None or not math.isfinite(value):
        return None
    marks = [low, high, value, *verdict.bound, verdict.published]
    start, end = _domain(mark for mark in marks if mark is not None)

    def place(mark: float) -> float:
        return round(WIDTH * min(max((mark - start) / (end - start), 0), 1), 2)

    range_start, range_end = map(place, verdict.bound)
    return Gauge(
        range_start=range_start,
        range_width=round(range_end - range_start, 2),
        low=place(low),
        value=place(value),
        high=place(high),
        published=None if verdict.published is None else place(verdict.published),
    )


def _domain(marks: Iterable[float]) -> tuple[float, float]:
    """Both ends of an axis that shows all finite marks."""
    finite = [mark for mark in marks if math.isfinite(mark)]
    # Equal marks still need an axis of some length.
    margin = MARGIN * (max(finite) - min(finite)) or 0.5
    return min(finite) - margin, max(finite) + margin
