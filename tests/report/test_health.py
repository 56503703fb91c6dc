"""Health in every format: headline, reasons, daggers, records, and the line on stderr."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ToyStore, planned_from
from rich.console import Console

from invspec.cli import session
from invspec.data import Finding, Interval
from invspec.execution.store import Store
from invspec.plan.cells import Examination, Plan
from invspec.report import contents, export, health, latex, text
from invspec.report.captions import caption, doubt
from invspec.report.contents import Report
from invspec.report.pages import render

SPEC = """
title: Toy
datasets: {digits: {}}
models: {linear: {}, mlp: {}}
defences: {plain: {use: standard}}
attacks: {pgd: {eps: 0.2}}
measures: {robust: {use: robust_accuracy, of: pgd}}
train:
  - {dataset: digits, model: [linear, mlp], defence: plain}
checks: [finite, gradient, converged]
claims:
  - says: linear is robust
    value: {measure: robust, at: {model: linear}}
    expect: {value: {above: 0.6}}
  - says: mlp is robust
    value: {measure: robust, at: {model: mlp}}
    expect: {value: {above: 0.6}}
"""
NUMBER = Interval(0.9, 0.8, 1.0, 64)
FLAT = Finding("fails", NUMBER, 0.01, "the gradients of 60 of 64 images are 0", "use square")
SLOW = Finding("fails", NUMBER, 0.01, "more steps break 3 of 64 images", "raise steps")
PASSES = Finding("passes", Interval(0.0, 0.0, 0.0, 64), 0.01)


def sick(examination: Examination) -> Finding | None:
    """The attack on linear has no gradients and too few steps; finite was not run on mlp."""
    if examination.net["model"] == "mlp":
        return None if examination.check == "finite" else PASSES
    return {"gradient": FLAT, "converged": SLOW}.get(examination.check, PASSES)


def healthy(examination: Examination) -> Finding | None:
    return PASSES


def outcomes(coords: Mapping[str, Any]) -> Any:
    return np.arange(100) < 80


def made(found: Any, spec: str = SPEC) -> tuple[Plan, ToyStore]:
    plan = planned_from(spec)
    store = ToyStore(plan, outcomes)
    for examination in plan.examinations:
        if (finding := found(examination)) is not None:
            store.findings[examination.goal] = finding
    return plan, store


def reported(found: Any, spec: str = SPEC) -> Report:
    return contents.report(*made(found, spec))


def shown(report: Report) -> str:
    console = Console(file=io.StringIO(), width=200)
    text.show(report, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_headline_counts_nets() -> None:
    assert health.headline(reported(healthy).health) == "Health: 2 of 2 nets pass"
    expected = "Health: 0 of 2 nets pass, 1 fails, 1 not checked in full"
    assert health.headline(reported(sick).health) == expected


def test_checks_none_is_said() -> None:
    off = SPEC.replace("[finite, gradient, converged]", "none")
    report = reported(healthy, off)
    assert health.headline(report.health) == "Health: not checked (checks: none)"
    assert "not checked (checks: none)" in shown(report)


def test_a_missing_examination_is_not_checked_and_never_passes() -> None:
    report = reported(lambda examination: None)
    assert health.headline(report.health) == "Health: 0 of 2 nets pass, 2 not checked in full"
    assert health.notes(report.health) == ["not checked: 6 of 6 checks have not been run"]
    assert {record["status"] for record in health.records(report.health)} == {"not checked"}


def test_the_terminal_shows_failures_above_the_claims_and_daggers_in_cells() -> None:
    page = shown(reported(sick))
    failure = (
        "fails: pgd on linear, plain, seed 0: the gradients of 60 of 64 images are 0 (gradient)"
    )
    assert page.index("Health: 0 of 2") < page.index(failure) < page.index("hint: use square")
    assert page.index("hint: use square") < page.index("Claims:")
    warning = "warns: pgd on linear, plain, seed 0: more steps break 3 of 64 images (converged)"
    assert warning in page
    assert "not checked: 1 of 6 checks" in page
    assert "±0.800†" in page
    assert "undecided: the gradients of 60 of 64 images are 0 (gradient)" in page
    assert "checks took 10 s" in page


def test_a_healthy_report_has_no_dagger() -> None:
    page = shown(reported(healthy))
    assert "†" not in page
    assert "in doubt" not in page


def test_a_caption_gives_the_reason_of_a_dagger() -> None:
    (table,) = reported(sick).tables
    assert caption(table).endswith("† in doubt: the gradients of 60 of 64 images are 0 (gradient)")


def test_a_claim_that_fails_all_the_same_says_that_it_is_in_doubt() -> None:
    spec = SPEC.replace("above: 0.6}}\n  - says: mlp", "above: 0.95}}\n  - says: mlp")
    first, second = reported(sick, spec).verdicts
    assert first.outcome == "fails"
    assert doubt(first) == "in doubt: the gradients of 60 of 64 images are 0 (gradient)"
    assert doubt(second) == ""


def test_a_csv_has_a_column_of_doubts_and_the_hull() -> None:
    plan, store = made(sick)
    rows = list(csv.DictReader(io.StringIO(export.csv_text(contents.report(plan, store), store))))
    linear, mlp = rows
    assert linear["doubts"] == "the gradients of 60 of 64 images are 0 (gradient)"
    assert (float(linear["value"]), float(linear["low"])) == (0.8, 0.0)
    assert mlp["doubts"] == ""
    assert float(mlp["low"]) > 0.7


def test_json_has_a_record_for_each_examination() -> None:
    plan, store = made(sick)
    body = json.loads(export.json_text(contents.report(plan, store), store))
    assert body["health"]["headline"].startswith("Health: 0 of 2 nets pass")
    records = {(r["net"]["model"], r["check"]): r for r in body["health"]["checks"]}
    flat = records["linear", "gradient"]
    assert (flat["value"], flat["threshold"], flat["n"], flat["status"]) == (0.9, 0.01, 64, "fails")
    assert (flat["attack"], flat["hint"]) == ("pgd", "use square")
    assert records["linear", "converged"]["status"] == "warns"
    assert records["mlp", "finite"]["status"] == "not checked"
    assert records["mlp", "finite"]["value"] is None
    first, second = body["claims"]
    assert first["doubts"] == ["the gradients of 60 of 64 images are 0 (gradient)"]
    assert second["doubts"] == []


def test_latex_and_the_page_say_the_same() -> None:
    report = reported(sick)
    tex, page = latex.text(report), render.text(report)
    for written in (tex, page):
        assert "Health: 0 of 2 nets pass" in written
        assert "the gradients of 60 of 64 images are 0 (gradient)" in written
        assert "undecided: the gradients" in written
    assert r"$\dagger$" in tex
    assert "†" in page


def test_one_line_on_stderr_names_the_first_failure() -> None:
    words = health.alarm(reported(sick).health)
    assert words == (
        "health: 0 of 2 nets pass, 1 fails, 1 not checked in full: "
        "the gradients of 60 of 64 images are 0 (gradient)"
    )
    assert health.alarm(reported(healthy).health) == ""


@pytest.mark.parametrize("format", ["rich", "csv", "json", "latex", "html"])
def test_every_format_prints_that_line(
    format: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan, toy = made(sick)
    monkeypatch.setattr(Store, "__contains__", lambda store, task: task in toy)
    monkeypatch.setattr(Store, "load", lambda store, task: toy.load(task))
    monkeypatch.setattr(Store, "made", lambda store, task: toy.made(task))

    session.show(plan, Store(tmp_path), format, tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("health: ")] == [
        health.alarm(reported(sick).health)
    ]


def test_the_cost_of_each_check_is_told_and_its_share() -> None:
    report = reported(healthy)
    words = health.cost(report.health, report.provenance)
    # six examinations of 2 s
    assert words.startswith("12 s, ")
    assert " % of the time (" in words
    assert "finite 4.0 s" in words


def test_a_check_and_a_hint_are_named_once_however_many_fail() -> None:
    report = reported(lambda examination: FLAT)
    failure, hint, *others = health.notes(report.health)
    assert failure.startswith("fails: linear, plain, seed 0: the gradients")
    assert failure.endswith("(finite; 1 more fails)")
    assert hint == "hint: use square"
    assert [note.split(":")[0] for note in others] == ["fails", "warns"]
    assert others[0].endswith("(gradient; 1 more fails)")
    assert others[1].endswith("(converged; 1 more is warned of)")
