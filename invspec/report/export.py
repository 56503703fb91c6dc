"""A report as CSV, JSON and Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet

from invspec.analysis.claims import false_verdicts
from invspec.analysis.readings import Artifacts
from invspec.report import arrow, columns, health, records
from invspec.report.contents import Report
from invspec.report.records import Record
from invspec.report.reproduction import recipe

# what a file can have a row for
KINDS: Mapping[str, Callable[[Report, Artifacts], list[Record]]] = {
    "cells": records.cells,
    "numbers": lambda report, store: records.numbers(report),
    "verdicts": lambda report, store: records.verdicts(report),
    "checks": lambda report, store: records.checks(report),
}


def csv_text(report: Report, store: Artifacts, kind: str = "cells") -> str:
    """The records of a kind as CSV with a header line."""
    rows = KINDS[kind](report, store)
    return csv_of(columns.names(kind, rows), rows)


def csv_of(names: Sequence[str], rows: Sequence[Record]) -> str:
    """Records as CSV with a header line of these columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def rows_json_text(report: Report, store: Artifacts, kind: str) -> str:
    """The records of a kind as a list in JSON."""
    return json_of(KINDS[kind](report, store))


def parquet_bytes(report: Report, store: Artifacts, kind: str = "cells") -> bytes:
    """The records of a kind as a file in Parquet."""
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table(report, store, kind), sink)
    return sink.getvalue().to_pybytes()


def table(report: Report, store: Artifacts, kind: str = "cells") -> pa.Table:
    """The records of a kind as a table of Arrow."""
    rows = KINDS[kind](report, store)
    return arrow.table(columns.names(kind, rows), rows)


def json_text(report: Report, store: Artifacts) -> str:
    """Claims with verdicts, all cells, the provenance, and how to make it again, as JSON."""
    spec = report.plan.spec
    body = {
        "title": spec.title,
        "spec": spec.name,
        "paper": spec.paper,
        "scale": spec.scale,
        "false_verdicts_expected_uncorrected": false_verdicts(report.verdicts),
        "claims": records.claims(report),
        "cells": records.cells(report, store),
        "published": records.published(report),
        "health": {
            "headline": health.headline(report.health),
            "checks": health.records(report.health),
        },
        "provenance": asdict(report.provenance),
        "recipe": recipe(report.plan, report.call),
    }
    return json_of(body)


def json_of(body: Any) -> str:
    """A value as JSON, in which infinities and NaN are null."""
    return json.dumps(_finite(body), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """Replace infinities and NaN, which JSON does not have, by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast(Sequence[Any], value)]
    return value
