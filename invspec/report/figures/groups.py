"""Which tables share a figure, and what their figures are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from invspec.report.table import Table

# figures of the numbers of a table alone
LINES = ("profile", "beside", "band")


def group(tables: Iterable[Table]) -> list[list[Table]]:
    """The tables of each figure; a table with `beside` shares the figure of the one before it."""
    figures: list[list[Table]] = []
    for table in tables:
        if table.figure == "beside" and figures:
            figures[-1].append(table)
        elif table.figure != "none":
            figures.append([table])
    return figures


def named(tables: Iterable[Table], pattern: str = "{}") -> list[tuple[str, list[Table]]]:
    """The tables of each figure by its name: the first measure, numbered if it repeats."""
    counts: Counter[str] = Counter()
    figures: list[tuple[str, list[Table]]] = []
    for tables_of_figure in group(tables):
        name = pattern.format(tables_of_figure[0].measure)
        counts[name] += 1
        numbered = f"{name}-{counts[name]}" if counts[name] > 1 else name
        figures.append((numbered, tables_of_figure))
    return figures


def is_drawn(tables: Sequence[Table]) -> bool:
    """Whether the tables of a figure have numbers, and more than one where it would be a line."""
    count = sum(len(table.all_numbers) for table in tables)
    return count > 1 or (count == 1 and tables[0].figure not in LINES)
