"""Numbers and labels as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from invspec.analysis.claims import Verdict
from invspec.analysis.estimator import Summary
from invspec.report.table import Line, Table

MINUS = "\N{MINUS SIGN}"
MISSING, NO_CELL = "·", "\N{EM DASH}"
DAGGER = "\N{DAGGER}"
# Float32 sums leave residues of this size where the exact value is 0.
ROUNDING = 1e-8


def decimal(value: float, decimals: int = 3) -> str:
    """A number with a fixed number of decimals and a real minus sign; never -0.000."""
    if math.isnan(value):
        return "\N{EN DASH}"
    if math.isinf(value):
        return "\N{INFINITY}" if value > 0 else f"{MINUS}\N{INFINITY}"
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def scientific(value: float) -> str:
    """A number as its first digit and a power of ten: 3e-14."""
    return f"{value:.0e}".replace("-", MINUS)


def measured(value: float, decimals: int = 3) -> str:
    """A measured number: decimal, but scientific if it is as small as a rounding error."""
    return scientific(value) if 0 < abs(value) < ROUNDING else decimal(value, decimals)


def short(value: float, digits: int = 6) -> str:
    """A number from a spec, in as few digits as it needs, up to some."""
    return f"{value:.{digits}g}".replace("-", MINUS)


def duration(seconds: float) -> str:
    """A duration as text: 0.3 s, 41 s, 5 min 10 s, 2 h 3 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60} min"


def interval(low: float, high: float, decimals: int = 3) -> str:
    """An interval: 0.58 to 0.66."""
    return f"{measured(low, decimals)} to {measured(high, decimals)}"


def value_and_margin(number: Summary | None, decimals: int) -> tuple[str, str]:
    """A number and the larger half-width of its interval: ("0.983", "±0.004").

    A missing number is a dot; a star marks missing seeds, a dagger a number in doubt. Numbers
    without an interval, such as counts, have no margin: ("270", ""). If both value and margin would
    round to 0, both are scientific: ("5e-06", "±2e-07").
    """
    if number is None:
        return MISSING, ""
    star = ("*" if number.is_partial else "") + (DAGGER if number.doubts else "")
    if number.value and max(abs(number.value), number.margin) < 0.5 * 10.0**-decimals:
        margin = f"±{scientific(number.margin)}" if number.margin else ""
        return scientific(number.value), margin + star
    if number.margin == 0:
        is_integer = number.value == int(number.value)
        return f"{number.value:,.0f}" if is_integer else measured(number.value, decimals), star
    return measured(number.value, decimals), f"±{measured(number.margin, decimals)}{star}"


def statistic_and_interval(verdict: Verdict) -> tuple[str, str]:
    """The statistic of a claim and its interval: ("0.62", "0.58 to 0.66"); a dot if missing."""
    if verdict.value is None or verdict.low is None or verdict.high is None:
        return MISSING, ""
    return measured(verdict.value), interval(verdict.low, verdict.high)


def statistic(verdict: Verdict) -> str:
    """The name of a claim's statistic: difference, least step."""
    return verdict.statistic.replace("_", " ")


def expectation(verdict: Verdict) -> str:
    """The range that a claim expects: above 0.5, within 0.1 of 0.8."""
    bound = verdict.claim.bound
    limits = {"above": bound.above, "below": bound.below}
    words = [f"{word} {short(limit)}" for word, limit in limits.items() if limit is not None]
    if bound.near is not None and bound.within is not None:
        words.append(f"within {short(bound.within)} of {short(bound.near)}")
    return " and ".join(words)


def published(verdict: Verdict) -> str:
    """The published value of a claim; empty if it has none."""
    return "" if verdict.published is None else short(verdict.published)


def seed_words(by_dataset: Mapping[str, Sequence[int]]) -> str:
    """The seeds of the trainings on each data set: seeds 0, 1; or seeds 0, 1 (mnist), 0 (svhn)."""
    word = "seeds" if any(len(own) > 1 for own in by_dataset.values()) else "seed"
    texts = {name: ", ".join(map(str, own)) for name, own in by_dataset.items()}
    if len(set(texts.values())) == 1:
        return f"{word} {next(iter(texts.values()))}"
    return f"{word} {', '.join(f'{text} ({name})' for name, text in texts.items())}"


@dataclass(frozen=True)
class Shown:
    """A number of a table as text: its value, its margin, and its interval where it is known."""

    value: str
    margin: str = ""
    interval: str = ""
    n: int = 0
    is_best: bool = False
    raw: float | None = None


def shown_lines(table: Table) -> list[tuple[list[str], list[Shown]]]:
    """The labels of each row and its numbers from left to right, those of all measures."""
    numbers = zip(*map(_shown_numbers, table.blocks), strict=True)
    return [
        (labels, [number for part in parts for number in part])
        for labels, parts in zip(merged_labels(table), numbers, strict=True)
    ]


def _shown_numbers(table: Table) -> list[list[Shown]]:
    """The numbers of one measure, row by row."""
    return [
        [_shown(table, line, column) for column in range(len(table.column_values))]
        for line in table.lines
    ]


def _shown(table: Table, line: Line, column: int) -> Shown:
    number, best = line.numbers[column], table.best_of_columns[column]
    if number is None:
        return Shown(NO_CELL if column in line.blank else MISSING)
    is_best = best is not None and best.low <= number.value <= best.high
    decimals = table.decimals
    if table.in_percent:
        scaled = (100 * end for end in (number.value, number.low, number.high))
        value, low, high = scaled
        number = replace(number, value=value, low=low, high=high)
        decimals = max(decimals - 2, 0)
    around = interval(number.low, number.high, decimals)
    return Shown(*value_and_margin(number, decimals), around, number.n, is_best, number.value)


def column_headings(table: Table) -> list[str]:
    """The values of the column coordinate as text; the measure where nothing runs across."""
    if table.columns is None:
        return [table.called]
    return [table.shown(value) or "none" for value in table.column_values]


def heading_rows(table: Table) -> tuple[list[tuple[str, int]], list[str]]:
    """The headings of a table's numbers in two rows; the upper ones with the columns they span.

    There are no upper ones where nothing runs across: then the measures stand above their columns.
    """
    if all(block.columns is None for block in table.blocks):
        return [], [block.called for block in table.blocks]
    several = bool(table.others)
    upper = [(_spanning(block, several), len(block.column_values)) for block in table.blocks]
    lower = [
        "" if block.columns is None else heading
        for block in table.blocks
        for heading in column_headings(block)
    ]
    return upper, lower


def _spanning(table: Table, names_measure: bool) -> str:
    """What stands above the columns of one measure: invariance by rotation.max_degrees."""
    if table.columns is None:
        return table.called
    across = table.headings[table.columns]
    return f"{table.called} by {across}" if names_measure else across


def merged_labels(table: Table) -> list[list[str]]:
    """Row labels as text; leading labels equal to those of the row above are left blank."""
    rows = [[table.shown(label) for label in line.labels] for line in table.lines]
    merged: list[list[str]] = []
    for above, labels in zip([[], *rows], rows, strict=False):
        pairs = enumerate(zip(above, labels, strict=False))
        repeated = next((i for i, (upper, lower) in pairs if upper != lower), 0)
        merged.append([*[""] * repeated, *labels[repeated:]])
    return merged
