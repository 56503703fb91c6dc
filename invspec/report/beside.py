"""Our numbers beside those of a paper, as text that every format shows."""

from __future__ import annotations

from collections.abc import Iterator

from invspec.analysis.published import Comparison
from invspec.report.format import MISSING, interval, measured, short
from invspec.report.table import Table

NUMBERS = ("ours", "paper", "difference", "95 % interval", "agrees")


def title(table: Table) -> str:
    """The source of the paper's numbers and how many cells agree: Table 1: 11 of 16 agree."""
    sources = dict.fromkeys(comparison.paper.source or "" for comparison in table.comparisons)
    named = ", ".join(filter(None, sources)) or "the paper's numbers"
    return f"{named}: {agreement(table)}"


def agreement(table: Table) -> str:
    """How many cells agree: 11 of 16 agree, 2 are missing."""
    outcomes = [comparison.agrees for comparison in table.comparisons]
    missing, computed = outcomes.count(None), len(outcomes) - outcomes.count(None)
    agree = f"{outcomes.count(True)} of {computed} agree"
    return f"{agree}, {missing} {'is' if missing == 1 else 'are'} missing" if missing else agree


def caption(table: Table) -> str:
    """What the difference is, and when a cell agrees."""
    within = table.comparisons[0].within
    near = f"within {short(within)} of 0" if within else "0"
    exact = all(not paper_error(comparison) for comparison in table.comparisons)
    error = "the paper's numbers count as exact" if exact else "with the paper's own sampling error"
    return f"difference: ours less the paper's, {error}; agrees if its interval reaches {near}"


def paper_error(comparison: Comparison) -> bool:
    """Whether the sampling error of the paper's number is known."""
    return comparison.paper.n is not None or comparison.paper.sd is not None


def coordinates(table: Table) -> tuple[str, ...]:
    """The coordinates that tell the compared cells apart."""
    papers = (comparison.paper for comparison in table.comparisons)
    return tuple(dict.fromkeys(name for paper in papers for name in paper.at))


def headings(table: Table) -> list[str]:
    """What stands above the labels of the compared cells."""
    return [table.named(name) for name in coordinates(table)]


def rows(table: Table) -> Iterator[tuple[list[str], list[str]]]:
    """Labels and numbers of each compared cell."""
    names = coordinates(table)
    for comparison in table.comparisons:
        labels = [table.shown(comparison.paper.at.get(name)) for name in names]
        yield labels, _numbers(comparison, table.decimals)


def _numbers(comparison: Comparison, decimals: int) -> list[str]:
    paper = short(comparison.paper.value)
    if comparison.ours is None:
        return [MISSING, paper, MISSING, "", ""]
    agrees = {True: "yes", False: "no", None: ""}[comparison.agrees]
    return [
        measured(comparison.ours.value, decimals),
        paper,
        measured(comparison.difference, decimals),
        interval(*comparison.interval, decimals),
        agrees,
    ]
