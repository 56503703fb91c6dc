"""A whole report as a value, which every format shows."""

from __future__ import annotations

from dataclasses import dataclass

from invspec.analysis import claims, health, readings
from invspec.analysis.claims import Verdict
from invspec.analysis.estimator import Estimator
from invspec.analysis.health import Health
from invspec.analysis.readings import Artifacts, Reading
from invspec.errors import refuse
from invspec.plan.cells import Plan
from invspec.plan.validation import layouts
from invspec.report import curves, provenance
from invspec.report.build import Builder
from invspec.report.provenance import Call, Provenance
from invspec.report.table import Table


@dataclass(frozen=True)
class Report:
    """Tables, training curves, verdicts, health and provenance of a plan."""

    plan: Plan
    readings: tuple[Reading, ...]
    estimator: Estimator
    tables: tuple[Table, ...]
    trainings: tuple[Table, ...]
    verdicts: tuple[Verdict, ...]
    provenance: Provenance
    call: Call
    health: Health

    @property
    def missing(self) -> int:
        """The number of cells that have not been computed."""
        return len({id(reading.cell) for reading in self.readings if reading.row is None})


def report(plan: Plan, store: Artifacts, call: Call | None = None) -> Report:
    """Read the store once and compute everything that a report shows.

    call: the folders that the command was given, to be repeated in the printed one.

    Raises: SpecError if a layout does not fit the plan.
    """
    refuse(plan.spec.source.locate(problem) for problem in layouts.problems(plan))
    rows = readings.collect(plan, store)
    groups = readings.groups(rows)
    estimator = Estimator(groups, plan.spec.seeds_paired)
    examined = health.health(plan, store)
    return Report(
        plan=plan,
        readings=tuple(rows),
        estimator=estimator,
        tables=Builder(plan, groups, estimator, store, examined).tables(),
        trainings=tuple(curves.tables(plan, store)),
        verdicts=tuple(claims.judged(plan, groups, estimator, examined)),
        provenance=provenance.gather(plan, store, call),
        call=call or Call(),
        health=examined,
    )
