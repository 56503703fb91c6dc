"""docs/papers is what `invspec report` makes of reports on today's specs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from workbench import ROOT

from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.registry.cards import shipped
from invspec.report import papers, reproduction
from invspec.spec import overlay

FOLDER = Path("docs/papers")
REPORTS = sorted(path.relative_to(ROOT) for path in (ROOT / FOLDER / "data").glob("*.json"))
every_report = pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)


@cache
def body(path: Path) -> dict[str, Any]:
    return dict(reproduction.read(ROOT / path).body)


@cache
def plan_of(path: Path) -> Plan:
    return planner.plan(overlay.load(spec_of(path), body(path)["scale"]))


def spec_of(path: Path) -> Path:
    name = body(path)["spec"].removesuffix(f"-{body(path)['scale']}")
    return shipped("specs") / f"{name}.yaml"


def test_the_pages_are_made_of_the_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command = ["invspec", "report", *map(str, REPORTS), "--format", "markdown"]
    reports = [papers.read(path) for path in REPORTS]
    pages = papers.pages(reports, [*command, "--output", str(FOLDER)], FOLDER)
    kept = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    assert kept == pages


@every_report
def test_a_report_is_complete(path: Path) -> None:
    facts = body(path)["provenance"]
    assert facts["done"] == facts["tasks"]
    assert not any("edited" in commit for commit in facts["versions"]["commit"])


@every_report
def test_a_report_has_the_claims_of_its_spec(path: Path) -> None:
    assert plan_of(path).spec.name == path.stem
    claims = [(claim.says, claim.source or None) for claim in plan_of(path).spec.claims]
    assert [(claim["says"], claim["source"] or None) for claim in body(path)["claims"]] == claims


@every_report
def test_a_report_has_the_cells_of_its_spec(path: Path) -> None:
    cells = {frozenset(cell.coords.items()) for cell in plan_of(path).cells}
    names = {name for cell in cells for name, _ in cell}
    reported = {
        frozenset((name, record[name]) for name in names & set(record))
        for record in body(path)["cells"]
    }
    assert reported == cells
