"""A whole report as a value, and its long form as CSV and JSON: a record for each number."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from invspec.analysis import claims, readings
from invspec.analysis.claims import Verdict
from invspec.analysis.readings import Estimator, Reading, Store
from invspec.data import Interval
from invspec.errors import refuse
from invspec.plan.cells import Plan
from invspec.plan.validation import layouts
from invspec.report import curves, provenance, table
from invspec.report.provenance import Provenance
from invspec.report.table import Table
from invspec.tasks import Perturb, Score, key, needs


@dataclass(frozen=True)
class Report:
    """Everything that a report of any format says."""

    plan: Plan
    readings: tuple[Reading, ...]
    estimator: Estimator
    tables: tuple[Table, ...]
    trainings: tuple[Table, ...]
    verdicts: tuple[Verdict, ...]
    provenance: Provenance

    @property
    def missing(self) -> int:
        """How many of the plan's cells have not been computed."""
        return len({id(reading.cell) for reading in self.readings if reading.row is None})


def report(planned: Plan, store: Store) -> Report:
    """Read the store once and work everything out. Raises: SpecError if a layout does not fit."""
    refuse(planned.spec.source.locate(problem) for problem in layouts.problems(planned))
    rows = readings.collect(planned, store)
    groups, estimator = readings.groups(rows), Estimator()
    return Report(
        planned,
        tuple(rows),
        estimator,
        table.laid_out(planned, groups, estimator, store),
        tuple(curves.tables(planned, store)),
        tuple(claims.judged(planned, groups, estimator)),
        provenance.gather(planned, store),
    )


# ─ the long form ──────────────────────────────────────────────────────────────────────────────────────────────────────


def records(whole: Report, store: Store) -> list[dict[str, Any]]:
    """One dict a row of a cell: its coordinates, its numbers, and what they cost. None is what is missing.

    forwards and backwards: how often the model saw an example in the attacks, on average. seconds_*: of the training,
    the attacks and the score behind the cell, each of which other cells may share. Of a sweep that shares its work it
    is what the cell's own value cost beyond the smaller ones.
    """
    goals = dict.fromkeys(reading.cell.goal for reading in whole.readings)
    costs = {goal: _cost(goal, store) for goal in goals}
    numbers = whole.estimator.intervals(whole.readings)
    return [
        {**reading.coords, **_values(numbers.get(reading)), **costs[reading.cell.goal]}
        for reading in whole.readings
    ]


def _cost(goal: Score, store: Store) -> dict[str, Any]:
    attacks = [task for task in needs(goal) if isinstance(task, Perturb)]
    behind = {"train": [goal.train], "perturb": attacks, "score": [goal]}
    seconds = {
        f"seconds_{verb}": provenance.seconds(store, tasks) for verb, tasks in behind.items()
    }
    passes = {name: _passes(goal.of, name, store) for name in ("forwards", "backwards")}
    return {**passes, **seconds, "key": key(goal)}


def _values(number: Interval | None) -> dict[str, Any]:
    if number is None:
        return {"value": None, "low": None, "high": None, "n": None}
    return asdict(number)


def _passes(of: Sequence[Sequence[Perturb]], name: str, store: Store) -> float | None:
    """Passes an example, added over the attacks."""
    total = 0.0
    for attack in of:
        if not all(task in store for task in attack):
            return None
        counts = [store.load(task).tensors[name] for task in attack]
        total += sum(float(count.sum()) for count in counts) / max(
            sum(len(count) for count in counts), 1
        )
    return total


def csv_text(whole: Report, store: Store) -> str:
    """The long form as CSV, a heading first."""
    listed = records(whole, store)
    names = _columns_of(listed)
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue()


def _columns_of(listed: Sequence[Mapping[str, Any]]) -> list[str]:
    """Coordinates first, those of every cell before those of some, then the numbers."""
    names = dict.fromkeys(name for record in listed for name in record)
    numbers = ("value", "low", "high", "n", "forwards", "backwards", *_seconds(names), "key")
    everywhere = [
        name for name in names if all(name in record for record in listed) and name not in numbers
    ]
    return [*everywhere, *(name for name in names if name not in (*everywhere, *numbers)), *numbers]


def _seconds(names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if name.startswith("seconds_"))


def json_text(whole: Report, store: Store) -> str:
    """Claims with their verdicts, the long form and the provenance, as JSON."""
    spec = whole.plan.spec
    body = {
        "title": spec.title,
        "spec": spec.name,
        "paper": spec.paper,
        "claims": [_verdict_record(verdict) for verdict in whole.verdicts],
        "cells": records(whole, store),
        "provenance": asdict(whole.provenance),
    }
    return json.dumps(_finite(body), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _verdict_record(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    return {
        "says": claim.says,
        "source": claim.source,
        "outcome": verdict.outcome,
        "statistic": verdict.statistic,
        "value": verdict.value,
        "low": verdict.low,
        "high": verdict.high,
        "above": verdict.bound[0],
        "below": verdict.bound[1],
        "published": verdict.published,
        "lacking": verdict.lacking,
    }


def _finite(value: Any) -> Any:
    """JSON has no infinity: an open end is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast(Sequence[Any], value)]
    return value
