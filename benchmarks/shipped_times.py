"""The times that ship with invspec, from reports in JSON: what their tasks took.

    uv run python benchmarks/shipped_times.py docs/papers/data/*.json --data .data

writes invspec/analysis/times.json, in which other reports keep their place. Where a store knows
nothing like them, `invspec plan` and the progress of a run go by these times.
"""

from __future__ import annotations

import json
import os
import statistics
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from invspec.analysis import shipped
from invspec.analysis.history import Descriptions
from invspec.analysis.likeness import Work
from invspec.plan.cells import Cell, Plan
from invspec.report import reproduction
from invspec.tasks import Examine


def main() -> None:
    """Read the reports, and write the file."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("reports", nargs="+", type=Path)
    parser.add_argument("--data", help="where the data sets are, to count their training images")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ["INVSPEC_DATA"] = arguments.data
    reports = shipped.read() | {path.stem: section(path) for path in arguments.reports}
    text = json.dumps(dict(sorted(reports.items())), indent=0, sort_keys=True)
    shipped.FILE.write_text(f"{text}\n", encoding="utf-8")


def section(path: Path) -> dict[str, Any]:
    """What the tasks of a report took, with the processors on which they ran."""
    recorded = reproduction.read(path)
    body = recorded.body
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for work, taken in _times(recorded.plan(lambda question: "float32"), body):
        for likeness in work.likenesses:
            seconds[shipped.digest(likeness)].append(taken / work.amount)
    # three digits are more than another machine has in common with this one
    rates = {name: float(f"{statistics.median(values):.3g}") for name, values in seconds.items()}
    return {"processors": body["provenance"]["surroundings"]["CPU"], "rates": rates}


def _times(plan: Plan, body: Mapping[str, Any]) -> Iterator[tuple[Work, float]]:
    """The works of a plan's tasks, each once, with their seconds as far as a report has them.

    A report has the seconds of all attacks behind a cell together, and of all checks: each part has
    its share by its amount of work.
    """
    descriptions = Descriptions()
    for cell, record in _recorded(plan, body["cells"]):
        parts = [part for parts in cell.goal.of for part in parts]
        groups = (
            ({part.train for part in parts}, "seconds_train"),
            (set(parts), "seconds_perturb"),
            ({cell.goal}, "seconds_score"),
        )
        for tasks, column in groups:
            works = [descriptions.work(task) for task in tasks]
            if record.get(column):
                yield from _shared(works, record[column])
    checks = [descriptions.work(task) for task in plan.tasks if isinstance(task, Examine)]
    yield from _shared(checks, body["provenance"]["seconds"].get("examine", 0.0))


def _recorded(plan: Plan, records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Cell, Any]]:
    """The cells of a plan, each with the first of its records, as there is one for each number."""
    names = {name for cell in plan.cells for name in cell.coords}
    first: dict[frozenset[Any], Any] = {}
    for record in records:
        first.setdefault(frozenset((n, v) for n, v in record.items() if n in names), record)
    for cell in plan.cells:
        if (record := first.get(frozenset(cell.coords.items()))) is not None:
            yield cell, record


def _shared(works: list[Work], seconds: float) -> Iterator[tuple[Work, float]]:
    total = sum(work.amount for work in works)
    for work in works:
        yield work, seconds * work.amount / total


if __name__ == "__main__":
    main()
