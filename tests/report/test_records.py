"""Reports in long form: a row for each number, verdict and check, as CSV, JSON and Parquet."""

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from report_toys import MATRIX, matrix
from workbench import call, registered, tiny, written

from invspec.measures.accuracy import Accuracy
from invspec.report import arrow, columns, contents, export, records


def as_rows(report, store, kind: str, format: str) -> list[dict[str, Any]]:
    """The rows of a file in a format, as they are read back."""
    if format == "csv":
        return list(csv.DictReader(io.StringIO(export.csv_text(report, store, kind))))
    if format == "json":
        return json.loads(export.rows_json_text(report, store, kind))
    content = pa.BufferReader(export.parquet_bytes(report, store, kind))
    return pyarrow.parquet.read_table(content).to_pylist()


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
@pytest.mark.parametrize("kind", export.KINDS)
def test_every_format_has_the_same_rows(toy, kind, format):
    report = contents.report(*toy)
    expected = export.KINDS[kind](report, toy[1])
    rows = as_rows(report, toy[1], kind, format)
    assert len(rows) == len(expected)
    for row, record in zip(rows, expected, strict=True):
        if record.get("value") is not None:
            assert float(row["value"]) == pytest.approx(record["value"])
        else:
            assert row.get("value") in (None, "")


def test_a_table_has_a_row_for_each_of_its_numbers_with_all_its_coordinates(toy):
    report = contents.report(*toy)
    rows = [row for row in records.numbers(report) if row["kind"] == "table"]
    tables = report.tables
    assert len(rows) == sum(len(line.numbers) for table in tables for line in table.lines)
    numbers = [number for table in tables for line in table.lines for number in line.numbers]
    for row, number in zip(rows, numbers, strict=True):
        assert {"dataset", "model", "defence", "attack"} <= set(row)
        assert "seed" not in row
        if number is None:
            assert row["value"] is row["low"] is row["seeds"] is None
        else:
            assert (row["value"], row["low"], row["high"]) == (
                number.value,
                number.low,
                number.high,
            )
            assert (row["n"], row["seeds"]) == (number.n, number.seeds)


def test_coordinates_of_a_row_are_those_of_its_number(toy):
    report = contents.report(*toy)
    by_place = {
        (row["measure"], row["model"], row.get("rotations.max_degrees"), row.get("pgd.eps")): row
        for row in records.numbers(report)
        if row["kind"] == "table"
    }
    for group in report.estimator.groups:
        coords = group.coords
        row = by_place[
            coords["measure"],
            coords["model"],
            coords.get("rotations.max_degrees"),
            coords.get("pgd.eps"),
        ]
        assert {name: row[name] for name in coords} == coords


def test_a_matrix_of_a_figure_has_a_row_for_each_entry(laid, monkeypatch):
    monkeypatch.setattr(Accuracy, "figures", ("matrix", "heatmap"))
    rows = [
        row
        for row in records.numbers(contents.report(*laid(MATRIX, matrix)))
        if row["kind"] == "matrix"
    ]
    # two models and two defences, two entries each, averaged over seeds 0 and 1
    assert len(rows) == 2 * 2 * 2
    entries = {
        (row["model"], row["target class"], row["source class"]): row["value"] for row in rows
    }
    assert entries == {
        ("linear", 0, 1): 0.125,
        ("linear", 1, 0): 0.625,
        ("lenet", 0, 1): 0.25,
        ("lenet", 1, 0): 0.75,
    }


def test_a_curve_has_a_row_for_each_epoch(toy):
    plan, store = toy
    rows = [row for row in records.numbers(contents.report(plan, store)) if row["kind"] == "curve"]
    tables = contents.report(plan, store).trainings
    assert [row["value"] for row in rows] == [
        number.value for table in tables for line in table.lines for number in line.numbers
    ]
    assert {row["section"] for row in rows}.isdisjoint({1, 2})


def test_verdicts_are_flat_and_name_premises(toy):
    report = contents.report(*toy)
    first, second, third = records.verdicts(report)
    assert [row["claim"] for row in (first, second, third)] == [1, 2, 3]
    assert [row["outcome"] for row in (first, second, third)] == ["holds", "fails", "missing"]
    assert (first["published"], first["source"]) == (0.9, "Figure 1")
    assert third["value"] is None
    assert not any(isinstance(value, dict | list | tuple) for value in first.values())


def test_a_column_has_one_type_and_null_where_a_record_lacks_it():
    rows = [{"a": 1, "b": 1}, {"a": 0.5, "b": "x", "c": True}, {"b": None, "d": None}]
    table = arrow.table(["a", "b", "c", "d"], rows)
    assert table.schema.types == [pa.float64(), pa.string(), pa.bool_(), pa.string()]
    assert table.to_pydict() == {
        "a": [1.0, 0.5, None],
        "b": ["1", "x", None],
        "c": [None, True, None],
        "d": [None, None, None],
    }


def test_coordinates_come_between_what_a_row_is_and_its_number():
    rows = [{"measure": "m", "defence.lr": 1, "value": 1.0}, {"measure": "m", "value": 2.0, "x": 1}]
    assert columns.names("numbers", rows) == ["measure", "defence.lr", "x", "value"]
    shared = [{"b": 1, "a": 1, "value": 1.0}, {"a": 1, "value": 2.0}]
    assert columns.names("cells", shared) == ["a", "b", "value"]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("--format", "csv", "--rows", "numbers"), "tiny-numbers.csv"),
        (("--format", "json", "--rows", "verdicts"), "tiny-verdicts.json"),
        (("--format", "parquet", "--rows", "checks"), "tiny-checks.parquet"),
        (("--format", "parquet"), "tiny.parquet"),
    ],
)
def test_the_command_writes_rows(tmp_path, capsys, options, name):
    with registered():
        spec, store = written(tmp_path, tiny()), tmp_path / "store"
        assert call("run", spec, "--store", store, "--workers", 1) == 0
        capsys.readouterr()
        assert call("report", spec, "--store", store, *options, "--output", tmp_path / "out") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / name}\n"
    assert (tmp_path / "out" / name).stat().st_size > 0


def test_rows_of_a_page_are_refused(tmp_path, capsys):
    with registered():
        spec, store = written(tmp_path, tiny()), tmp_path / "store"
        store.mkdir()
        assert call("report", spec, "--store", store, "--format", "latex", "--rows", "cells") == 2
    assert capsys.readouterr().err == (
        "error: --rows: is not for --format latex\nhint: --format csv or json or parquet\n"
    )
