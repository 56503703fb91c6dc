"""The rows of a report in long form: its cells, numbers, verdicts and checks, one record each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from torch import Tensor

from invspec.analysis.claims import Verdict
from invspec.analysis.published import Comparison
from invspec.analysis.readings import Artifacts, Group
from invspec.data import Interval
from invspec.plan import coordinates
from invspec.report import captions, health, provenance
from invspec.report.columns import BESIDE, NUMBER, PASSES, VALUES
from invspec.report.contents import Report
from invspec.report.format import expectation
from invspec.report.table import RowLabels, Table
from invspec.spec.schema import FigureKind
from invspec.tasks import Perturb, Score, key

# a row by the names of its columns
Record = dict[str, Any]
# the axes of the matrices that a figure draws
MATRIX_AXES: dict[FigureKind, tuple[str, ...]] = {
    "matrix": ("target class", "source class"),
    "heatmap": ("row", "column"),
}


def numbers(report: Report) -> list[Record]:
    """One record for each number of a table or a figure; one that is not computed is None.

    section counts the tables of the report from 1, then those of training curves. kind says what
    value, low and high are: of a `table`, a mean over seeds with its 95 % interval; of a `curve`,
    one with the lowest and the highest seed; of a `matrix` in a figure, an entry averaged over
    seeds.
    """
    results = ("table", _numbers), ("matrix", _matrices)
    sections = [(table, results) for table in report.tables]
    sections += [(table, (("curve", _numbers),)) for table in report.trainings]
    groups = report.estimator.groups
    return [
        {"section": section, "kind": kind, "table": table.title, **record}
        for section, (table, parts) in enumerate(sections, 1)
        for kind, records in parts
        for record in records(table, groups)
    ]


def _numbers(table: Table, groups: Sequence[Group]) -> Iterator[Record]:
    names, at = _names(table), {"measure": table.measure, **table.fixed}
    behind = groups_behind(table, groups)
    for line in table.lines:
        for value, number in zip(table.column_values, line.numbers, strict=True):
            labels = (*line.labels, value)[: len(names)]
            written = zip(names, labels, strict=True)
            shown = {name: label for name, label in written if label is not None}
            summary: Record = dict.fromkeys(NUMBER) if number is None else asdict(number)
            doubts = "; ".join(number.doubts) if number is not None else ""
            coords = behind[labels].coords if labels in behind else {}
            yield {**at, **coords, **shown, **summary, "doubts": doubts}
    for other in table.others:
        yield from _numbers(other, groups)


def groups_behind(table: Table, groups: Sequence[Group]) -> dict[RowLabels, Group]:
    """The group behind each number of a table's first measure, by the labels of row and column."""
    names, at = _names(table), {"measure": table.measure, **table.fixed}
    return {
        tuple(group.coords.get(name) for name in names): group
        for group in groups
        if coordinates.matches(group.coords, at)
    }


def _names(table: Table) -> tuple[str, ...]:
    """The coordinates that run down and across."""
    return (*table.rows, *([] if table.columns is None else [table.columns]))


def _matrices(table: Table, groups: Sequence[Group]) -> Iterator[Record]:
    names = MATRIX_AXES.get(table.figure, ())
    for drawing in table.drawings.values() if names else ():
        at = {"measure": table.measure, **table.fixed, **drawing.coords}
        for place, value in np.ndenumerate(drawing.values):
            if not np.isnan(value):
                axes = dict(zip(names, place, strict=True))
                yield {**at, **axes, **dict.fromkeys(NUMBER), "value": float(value)}


def verdicts(report: Report) -> list[Record]:
    """One record for each claim: its verdict with the statistic and its interval."""
    return [
        {"claim": number, **_flat(_verdict_record(verdict))}
        for number, verdict in enumerate(report.verdicts, 1)
    ]


def _flat(record: Record) -> Record:
    """A verdict in one row; those on its premises and alternatives as text."""
    nested = {
        name: "; ".join(f"{part['says']}: {part['outcome']}" for part in record[name])
        for name in ("premises", "alternatives")
    }
    needs = record.pop("needs") or {}
    needed = {f"needs_{name}": needs.get(name) for name in ("images", "seeds")}
    return {**record, **needed, **nested, "doubts": "; ".join(record["doubts"])}


def checks(report: Report) -> list[Record]:
    """One record for each examination of a net or an attack."""
    return [_flat_check(record) for record in health.records(report.health)]


def _flat_check(record: Record) -> Record:
    net, at, attack = (record.pop(name) for name in ("net", "at", "attack"))
    return {**net, **({"attack": attack} if attack else {}), **at, **record}


def cells(report: Report, store: Artifacts) -> list[Record]:
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
    empty: Record = dict.fromkeys(BESIDE if compared else ())
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


def _compared(report: Report) -> dict[int, Record]:
    """The paper's number beside each reading that has one: the mean over its seeds is compared."""
    return {
        id(reading): _beside(comparison)
        for table in report.tables
        for comparison in table.comparisons
        if comparison.group is not None
        for reading in comparison.group.readings
    }


def _beside(comparison: Comparison) -> Record:
    if not comparison.is_comparable:
        return {**dict.fromkeys(BESIDE), "published": comparison.paper.value}
    low, high = comparison.interval
    values = (comparison.paper.value, comparison.difference, low, high, comparison.agrees)
    return dict(zip(BESIDE, values, strict=True))


def _values(interval: Interval | None) -> Record:
    return dict.fromkeys(VALUES) if interval is None else asdict(interval)


def _cost(goal: Score, store: Artifacts) -> Record:
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


def published(report: Report) -> list[Record]:
    """The tables of the paper beside ours."""
    return [_table_record(table) for table in report.tables if table.comparisons]


def claims(report: Report) -> list[Record]:
    """The verdict on each claim, with those on its premises and alternatives."""
    return [_verdict_record(verdict) for verdict in report.verdicts]


def _table_record(table: Table) -> Record:
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


def _cell_record(comparison: Comparison) -> Record:
    paper, ours = comparison.paper, comparison.ours
    numbers = asdict(ours) if ours is not None else Record()
    return {
        "at": paper.at,
        **{f"ours_{name}": numbers.get(name) for name in ("value", "low", "high", "n", "seeds")},
        **_beside(comparison),
        "published_n": paper.n,
        "published_sd": paper.sd,
        "published_seeds": paper.seeds,
        "source": paper.source,
    }


def _verdict_record(verdict: Verdict) -> Record:
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
