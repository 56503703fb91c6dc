"""Pages of papers, from reports in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from report_toys import half
from toy_specs import SWEEPS

from invspec.errors import SpecError
from invspec.report import papers
from invspec.report.contents import report
from invspec.report.export import json_text

CLAIM = (
    "{says: 'a | b', source: Section 2, value: {measure: accuracy, at: {model: linear, "
    "defence: plain}}, expect: {value: {above: %s}}, published: 0.75}"
)
CLAIMS = f"checks: none\nclaims:\n  - {CLAIM % 0.1}\n  - {CLAIM % 0.9}\n"
COMMAND = ["invspec", "report", "data/a.json"]


@pytest.fixture
def body(planned, toy_store) -> dict[str, Any]:
    plan = planned(SWEEPS + CLAIMS)
    store = toy_store(plan, half)
    return json.loads(json_text(report(plan, store), store))


def rows(page: str) -> list[list[str]]:
    """The cells of the lines of all tables."""
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    return [
        [cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")] for line in lines
    ]


def test_a_page_has_a_line_for_each_claim_with_the_papers_number(body) -> None:
    headings, _, *claims = rows(papers.page(papers.Saved(Path("a.json"), body)))
    place = papers.CLAIM_HEADINGS.index("p")
    own = list(papers.CLAIM_HEADINGS)
    assert headings == [*own[:place], papers.PAPERS_NUMBER, *own[place:]]
    assert [claim[:3] for claim in claims] == [
        ["Section 2", "a ¦ b", "above 0.1"],
        ["Section 2", "a ¦ b", "above 0.9"],
    ]
    assert {claim[3].split(" (")[0] for claim in claims} == {"value 0.500"}
    assert [claim[4] for claim in claims] == ["0.75", "0.75"]
    assert [claim[6] for claim in claims] == ["2", "2"]
    assert claims[0][7].startswith("holds")
    assert claims[1][7].startswith("fails")


def test_without_a_number_of_the_paper_there_is_no_column_for_it(body) -> None:
    for claim in body["claims"]:
        claim["published"] = None
    headings, *_ = rows(papers.page(papers.Saved(Path("a.json"), body)))
    assert headings == list(papers.CLAIM_HEADINGS)


def test_a_verdict_says_what_it_was_before_the_correction_and_what_would_decide_it(body) -> None:
    body["claims"][0] |= {
        "outcome": "undecided",
        "verdict": "undecided",
        "uncorrected": "holds",
        "p_corrected": 0.0812,
        "needs": {"seeds": 5, "images": None},
    }
    _, _, claim, _ = rows(papers.page(papers.Saved(Path("a.json"), body)))
    assert claim[-3] == "0.081"
    assert claim[-1] == "undecided (holds before the correction; needs about 5 seeds)"


def test_premises_are_listed_once_with_their_numbers(body) -> None:
    premise = {**body["claims"][0], "says": "it works", "outcome": "holds", "expected": "above 0.1"}
    unnamed = {**premise, "says": "", "outcome": "fails"}
    body["claims"][0]["premises"] = [premise, unnamed]
    body["claims"][1]["premises"] = [premise]
    lines = rows(papers.page(papers.Saved(Path("a.json"), body)))
    place = lines.index(list(papers.PREMISE_HEADINGS))
    assert [line[0] for line in lines[place + 2 :]] == ["it works", "(of the claim: a ¦ b)"]
    assert [line[-1] for line in lines[place + 2 :]] == ["yes", "no"]


def test_pages_link_the_reports_from_where_they_lie(body, tmp_path: Path) -> None:
    saved = papers.Saved(tmp_path / "data" / "a.json", body)
    pages = papers.pages([saved], COMMAND, tmp_path / "pages")
    assert "all numbers: [a.json](../data/a.json)" in pages[saved.paper]
    assert "all numbers: `a.json`" in papers.page(saved)


def test_a_page_says_how_its_numbers_were_made(body) -> None:
    body["provenance"]["versions"] = {"commit": ["abc (edited)"]}
    page = papers.page(papers.Saved(Path("a.json"), body))
    for words in (f"`{body['provenance']['command']}`", "commit abc (edited)", "`a.json`"):
        assert words in page
    assert "Health: not checked (checks: none)" in page


def test_failed_checks_are_listed_once_each_with_their_number(body) -> None:
    record = {"net": {"model": "mlp"}, "attack": None, "check": "alive", "reason": "dead"}
    warned = {**record, "check": "silent", "attack": "pgd", "status": "warns", "reason": "early"}
    body["health"]["checks"] = [
        {**record, "status": "fails"},
        {**record, "status": "fails", "reason": "dead too"},
        {**record, "status": "passes", "check": "finite"},
        warned,
    ]
    page = papers.page(papers.Saved(Path("a.json"), body))
    assert "- `alive` fails: mlp: dead (and 1 more)" in page
    assert "- `silent` warns: mlp, pgd: early" in page
    assert "finite" not in page


def test_numbers_of_the_paper_stand_beside_ours(body) -> None:
    cell = {
        "at": {"model": "mlp"},
        "ours_value": 0.5,
        "published": 0.25,
        "difference": 0.25,
        "difference_low": 0.125,
        "difference_high": 0.375,
        "agrees": False,
        "source": "Table 1",
    }
    lacking = {**cell, "ours_value": None, "difference": None, "agrees": None}
    body["published"] = [
        {"title": "Success", "agree": 0, "disagree": 1, "missing": 1, "cells": [cell, lacking]}
    ]
    saved = papers.Saved(Path("a.json"), body)
    page = papers.page(saved)
    assert "### Success (Table 1): 0 of 1 agree" in page
    numbers = [row for row in rows(page) if row[0] == "mlp"]
    assert numbers == [
        ["mlp", "0.500", "0.25", "0.250 (0.125 to 0.375)", "no"],
        ["mlp", "·", "0.25", "·", ""],
    ]
    assert saved.agreement == "0 of 1 agree, 1 missing"


def test_an_infinite_end_of_an_interval_has_no_bound(body) -> None:
    body["claims"][0] |= {"low": 0.25, "high": None}
    assert "value 0.500 (0.250 to no bound)" in papers.page(papers.Saved(Path("a.json"), body))


def test_an_infinite_end_of_a_difference_has_no_bound(body, tmp_path: Path) -> None:
    cell = {"at": {"model": "mlp"}, "ours_value": 0.5, "published": 0.25, "source": "Table 1"}
    open_ended = {"difference": 0.25, "difference_low": None, "difference_high": None}
    cells = [{**cell, **open_ended, "agrees": True}]
    body["published"] = [{"title": "T", "agree": 1, "disagree": 0, "missing": 0, "cells": cells}]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(body))
    (row,) = (row for row in rows(papers.page(papers.read(path))) if row[0] == "mlp")
    assert row[3] == "0.250 (no bound to no bound)"


def test_reports_of_one_paper_share_a_page_and_the_index_counts_their_verdicts(body) -> None:
    known = {**body, "paper": "kamath2020", "scale": "laptop"}
    saved = [
        papers.Saved(Path("a.json"), known),
        papers.Saved(Path("b.json"), {**known, "scale": None}),
    ]
    pages = papers.pages([*saved, papers.Saved(Path("c.json"), {**body, "paper": None})], COMMAND)
    assert list(pages) == [papers.INDEX, "kamath2020", papers.NO_PAPER]
    assert pages["kamath2020"].startswith("# Kamath, Deshpande, Subrahmanyam (2020)")
    assert pages["kamath2020"].count(f"## {body['title']}") == 2
    assert all("Written by `invspec report data/a.json`" in page for page in pages.values())
    _, _, *lines = rows(pages[papers.INDEX])
    assert [line[2] for line in lines] == ["laptop", "default", "default"]
    assert {line[3] for line in lines} == {"digits"}
    verdicts = [claim["verdict"] for claim in body["claims"]]
    assert {line[4] for line in lines} == {f"1 {verdicts[0]}, 1 {verdicts[1]}"}
    headings, *_ = rows(pages[papers.INDEX])
    # nothing is ours, and the paper gives no numbers
    assert set(papers.INDEX_HEADINGS) - set(headings) == {"claims of ours", "numbers of the paper"}


def test_claims_of_ours_are_counted_apart(body) -> None:
    body["claims"][1]["source"] = "ours, after Section 2"
    saved = papers.Saved(Path("a.json"), body)
    verdicts = [claim["verdict"] for claim in body["claims"]]
    assert saved.tally(ours=False) == f"1 {verdicts[0]}"
    assert saved.tally(ours=True) == f"1 {verdicts[1]}"
    body["claims"][1]["source"] = None
    assert saved.tally(ours=True) == f"1 {verdicts[1]}"


def test_verdicts_are_counted_in_words(body) -> None:
    verdicts = ["holds for these nets", "holds", "holds for these nets", "fails", "not testable"]
    claims = [{**body["claims"][0], "verdict": verdict} for verdict in verdicts]
    saved = papers.Saved(Path("a.json"), {**body, "claims": claims})
    words = "1 holds, 2 hold for these nets, 1 fails, 1 not testable"
    assert saved.tally(ours=False) == words
    assert papers.Saved(Path("a.json"), {**body, "claims": []}).tally(ours=False) == ""


@pytest.mark.parametrize("lacks", ["title", "published", "health"])
def test_a_report_without_a_part_is_refused(lacks: str, body, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(body))
    assert papers.read(path).spec == "toy"
    path.write_text(json.dumps({name: part for name, part in body.items() if name != lacks}))
    with pytest.raises(SpecError, match="not a report that can be shown") as error:
        papers.read(path)
    assert "--format json" in str(error.value)
