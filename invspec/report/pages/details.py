"""What a page shows of a number when it is chosen: its interval, its keys, its examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from invspec.analysis.estimator import Summary
from invspec.analysis.readings import Group
from invspec.report.contents import Report
from invspec.report.examples import Sheet, attacks_of
from invspec.report.records import groups_behind
from invspec.report.table import Table
from invspec.tasks import Perturb, key

# digits of a key that name a folder of a store beyond doubt
DIGITS = 12
# what a sheet takes beside its picture, at most
BYTES_OF_NUMBERS = 1_500


def attacks(report: Report) -> list[Perturb]:
    """The attacks of which a page shows examples, in the order of its tables."""
    groups = report.estimator.groups
    return [
        task
        for table in report.tables
        for block in table.blocks
        for group in groups_behind(block, groups).values()
        for task in attacks_of(group)
    ]


@dataclass(frozen=True)
class Details:
    """Collects the details of a page's numbers, in the order in which the page shows them.

    sheets are the pictures of attacks by their keys; wanted are the keys that a number refers to,
    in their order.
    """

    report: Report
    sheets: Mapping[str, Sheet]
    numbers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    wanted: dict[str, None] = field(default_factory=dict[str, None])

    def of(self, table: Table) -> list[list[int | None]]:
        """For each number of a table's first measure, row by row, the place of its details."""
        behind = groups_behind(table, self.report.estimator.groups)
        across = [()] if table.columns is None else [(value,) for value in table.column_values]
        return [
            [
                self._add(table, number, behind.get((*line.labels, *place)))
                for number, place in zip(line.numbers, across, strict=True)
            ]
            for line in table.lines
        ]

    def _add(self, table: Table, number: Summary | None, group: Group | None) -> int | None:
        if number is None or group is None:
            return None
        self.numbers.append(
            {
                "measure": table.called,
                "unit": " %" if table.in_percent else "",
                "at": {
                    table.named(name): table.shown(value)
                    for name, value in group.coords.items()
                    if name != "measure"
                },
                "seeds": [number.seeds, number.planned_seeds],
                "doubts": list(number.doubts),
                "keys": [key(reading.cell.goal)[:DIGITS] for reading in group.present],
                "sheets": [name for name in map(key, attacks_of(group)) if self._show(name)],
            }
        )
        return len(self.numbers) - 1

    def _show(self, name: str) -> bool:
        """Ask for an attack's pictures, if there are some."""
        if name in self.sheets:
            self.wanted[name] = None
        return name in self.sheets

    def fitting(self, room: int) -> dict[str, Any]:
        """The first of the wanted sheets that fit into some bytes, for the page."""
        sheets: dict[str, Any] = {}
        for name in self.wanted:
            room -= len(self.sheets[name].picture) + BYTES_OF_NUMBERS
            if room < 0:
                break
            sheets[name] = asdict(self.sheets[name])
        return sheets
