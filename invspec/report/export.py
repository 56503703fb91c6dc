"""The numbers of a report as CSV and JSON, one record for each row of a cell."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from torch import Tensor

from invspec.analysis.claims import Verdict, false_verdicts
from invspec.analysis.published import Comparison
from invspec.analysis.readings import Artifacts
from invspec.data import Interval
from invspec.report import captions, health, provenance
from invspec.report.columns import BESIDE, COLUMNS, PASSES, VALUES
from invspec.report.contents import Report
from invspec.report.format import expectation
from invspec.report.reproduction import recipe
from invspec.report.table import Table
from invspec.tasks import Perturb, Score, key


def records(report: Report, store: Artifacts) -> list[dict[str, Any]]:
    """One record for each row of a cell: its coordinates, value and cost; None if not computed.

    forwards and backwards are the mean passes per example in the attacks. seconds_train,
    seconds_perturb and seconds_score are the time of the tasks behind the cell; other cells may
    share them. Attacks of a sweep that start from the next smaller value count only their own
    passes. doubts says which checks failed; low and high then are those of the hull.
    """
    goals = dict.fromkeys(reading.cell.goal for reading in report.readings)
    costs = {goal: _cost(goal, store) for goal in goals}
    intervals = report.health.intervals(report.readings, report.estimator)
    compared = _compared(report)
    empty: dict[str, Any] = dict.fromkeys(BESIDE if compared else ())
    return [
        {
            **reading.coords,
            **_values(intervals.get(reading)),
            **compared.get(id(reading), empty),
            "doubts": "; ".join(dict.fromkeys(r.reason for r in report.health.of_reading(reading))),
            **costs[reading.cell.goal],
        }
        for reading in report.readings
    ]


def _compared(report: Report) -> dict[int, dict[str, Any]]:
    """The paper's number beside each reading that has one: the mean over its seeds is compared."""
    return {
        id(reading): _beside(comparison)
        for table in report.tables
        for comparison in table.comparisons
        if comparison.group is not None
        for reading in comparison.group.readings
    }


def _beside(comparison: Comparison) -> dict[str, Any]:
    if not comparison.is_comparable:
        return {**dict.fromkeys(BESIDE), "published": comparison.paper.value}
    low, high = comparison.interval
    values = (comparison.paper.value, comparison.difference, low, high, comparison.agrees)
    return dict(zip(BESIDE, values, strict=True))


def _values(interval: Interval | None) -> dict[str, Any]:
    return dict.fromkeys(VALUES) if interval is None else asdict(interval)


def _cost(goal: Score, store: Artifacts) -> dict[str, Any]:
    judged = [part for parts in goal.of for part in parts]
    attacks = [*judged, *(part.source for part in judged if part.source is not None)]
    trained = [goal.train, *([] if goal.train.features is None else [goal.train.features])]
    tasks = {"train": trained, "perturb": attacks, "score": [goal]}
    seconds = {
        f"seconds_{verb}": provenance.seconds(store, behind) for verb, behind in tasks.items()
    }
    return {**_passes(goal.of, store), **seconds, "key": key(goal)}


def _passes(attacks: Sequence[Sequence[Perturb]], store: Artifacts) -> dict[str, float | None]:
    """Mean passes per example, summed over the attacks; None if one is not computed."""
    totals: dict[str, float | None] = dict.fromkeys(PASSES, 0.0)
    for parts in attacks:
        if not all(task in store for task in parts):
            return dict.fromkeys(PASSES)
        loaded = [store.load(task).tensors for task in parts]
        for name in PASSES:
            totals[name] = (totals[name] or 0.0) + _mean([part[name] for part in loaded])
    return totals


def _mean(counts: Sequence[Tensor]) -> float:
    examples = max(sum(len(count) for count in counts), 1)
    return sum(float(count.sum()) for count in counts) / examples


def csv_text(report: Report, store: Artifacts) -> str:
    """The records as CSV with a header line."""
    rows = records(report, store)
    text = io.StringIO()
    writer = csv.DictWriter(text, _column_names(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _column_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Coordinates first, those that every cell has before the others; then the numbers."""
    names = dict.fromkeys(name for row in rows for name in row)
    numbers = [name for name in COLUMNS if name in names]
    coordinates = [name for name in names if name not in COLUMNS]
    # sorted is stable: within both halves the order of the spec remains.
    return [
        *sorted(coordinates, key=lambda name: not all(name in row for row in rows)),
        *numbers,
    ]


def json_text(report: Report, store: Artifacts) -> str:
    """Claims with verdicts, all records, the provenance, and how to make it again, as JSON."""
    spec = report.plan.spec
    body = {
        "title": spec.title,
        "spec": spec.name,
        "paper": spec.paper,
        "scale": spec.scale,
        "false_verdicts_expected_uncorrected": false_verdicts(report.verdicts),
        "claims": [_verdict_record(verdict) for verdict in report.verdicts],
        "cells": records(report, store),
        "published": [_table_record(table) for table in report.tables if table.comparisons],
        "health": {
            "headline": health.headline(report.health),
            "checks": health.records(report.health),
        },
        "provenance": asdict(report.provenance),
        "recipe": recipe(report.plan, report.call),
    }
    return json.dumps(_finite(body), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _table_record(table: Table) -> dict[str, Any]:
    """A table of the paper beside ours."""
    outcomes = [comparison.agrees for comparison in table.comparisons]
    return {
        "title": table.title,
        "measure": table.measure,
        "within": table.comparisons[0].within,
        "agree": outcomes.count(True),
        "disagree": outcomes.count(False),
        "missing": outcomes.count(None),
        "cells": [_cell_record(comparison) for comparison in table.comparisons],
    }


def _cell_record(comparison: Comparison) -> dict[str, Any]:
    paper, ours = comparison.paper, comparison.ours
    numbers = asdict(ours) if ours is not None else dict[str, Any]()
    return {
        "at": paper.at,
        **{f"ours_{name}": numbers.get(name) for name in ("value", "low", "high", "n", "seeds")},
        **_beside(comparison),
        "published_n": paper.n,
        "published_sd": paper.sd,
        "published_seeds": paper.seeds,
        "source": paper.source,
    }


def _verdict_record(verdict: Verdict) -> dict[str, Any]:
    above, below = verdict.bound
    return {
        "says": verdict.claim.says,
        "source": verdict.claim.source,
        "outcome": verdict.outcome,
        "verdict": captions.outcome(verdict),
        "uncorrected": verdict.raw,
        "scope": verdict.scope,
        "nets": verdict.nets,
        "seeds": verdict.seeds,
        "df": verdict.df,
        "p": verdict.p,
        "p_corrected": verdict.corrected_p,
        "needs": None if verdict.needs is None else asdict(verdict.needs),
        "statistic": verdict.statistic,
        "value": verdict.value,
        "low": verdict.low,
        "high": verdict.high,
        "expected": expectation(verdict),
        "above": above,
        "below": below,
        "published": verdict.published,
        "missing_scores": verdict.missing_scores,
        "reason": captions.reason(verdict),
        "premises": [_verdict_record(premise) for premise in verdict.premises],
        "alternatives": [_verdict_record(alternative) for alternative in verdict.alternatives],
        "doubts": list(verdict.doubts),
    }


def _finite(value: Any) -> Any:
    """Replace infinities and NaN, which JSON does not have, by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast(Sequence[Any], value)]
    return value
