"""The paper's numbers beside ours, in every format."""

import csv
import io
import json

import pytest
from report_toys import CLAIMS, outcomes
from rich.console import Console

from invspec.errors import SpecError
from invspec.plan import validation
from invspec.report import beside, captions, contents, export, latex, text
from invspec.report.pages import render

LAYOUT = """
report:
  - of: robustness
    at: {model: linear}
    rows: [rotations.max_degrees]
    columns: pgd.eps
    published: PUBLISHED
"""
# ours is 0.8 of 100 at eps 0, 0.5 at 0.1 and 0.2 at 0.2
NESTED = (
    "{source: Table 9, n: 1000, by: [rotations.max_degrees, pgd.eps], "
    "values: {0: {0: 0.75, 0.1: 0.5, 0.2: 0.4}, 90: {0: {value: 0.9, n: 100}}}}"
)


@pytest.fixture
def reported(planned, toy_store):
    def built(published=NESTED, by=outcomes):
        plan = planned(CLAIMS + LAYOUT.replace("PUBLISHED", published))
        validation.check(plan)
        store = toy_store(plan, by)
        return contents.report(plan, store), store

    return built


def test_a_cell_agrees_if_its_difference_may_be_0(reported):
    (table,) = reported()[0].tables
    assert [comparison.agrees for comparison in table.comparisons] == [True, True, False, False]
    assert beside.title(table) == "Table 9: 2 of 4 agree"
    first, *_, last = table.comparisons
    assert (first.paper.n, last.paper.n) == (1000, 100)
    assert first.difference == pytest.approx(0.05)
    low, high = first.interval
    assert low < 0 < first.difference < high


def test_a_tolerance_lets_a_close_cell_agree(reported):
    exact = "{within: WITHIN, cells: [{at: {rotations.max_degrees: 0, pgd.eps: 0}, value: 0.95}]}"
    (strict,) = reported(exact.replace("WITHIN", "0"))[0].tables
    (tolerant,) = reported(exact.replace("WITHIN", "0.1"))[0].tables
    assert [one.agrees for one in (*strict.comparisons, *tolerant.comparisons)] == [False, True]
    assert beside.caption(tolerant).endswith(
        "the paper's numbers count as exact; agrees if its interval reaches within 0.1 of 0"
    )


def test_missing_cells_are_counted_apart(reported):
    def by(coords):
        return None if coords.get("pgd.eps") == 0.1 else outcomes(coords)

    report, _ = reported(by=by)
    (table,) = report.tables
    assert beside.agreement(table) == "1 of 3 agree, 1 is missing"
    assert list(beside.rows(table))[1] == (["0", "0.1"], ["·", "0.5", "·", "", ""])
    assert captions.NOT_COMPUTED.removeprefix("·") in latex.pieces(report)["robustness-paper"]
    complete, _ = reported()
    assert "not computed yet" not in latex.pieces(complete)["robustness-paper"]


def test_coordinates_are_called_as_the_layout_says(planned, toy_store):
    named = LAYOUT.replace("PUBLISHED", NESTED) + "    names: {pgd.eps: radius, 0.1: a tenth}\n"
    plan = planned(CLAIMS + named)
    (table,) = contents.report(plan, toy_store(plan, outcomes)).tables
    assert beside.headings(table) == ["rotations.max_degrees", "radius"]
    assert [labels for labels, _ in beside.rows(table)][1] == ["0", "a tenth"]


def test_every_format_shows_ours_the_papers_and_the_difference(reported):
    report, store = reported()
    terminal = io.StringIO()
    text.show(report, Console(file=terminal, width=100, highlight=False))
    texts = [terminal.getvalue(), render.text(report), latex.text(report)]
    for shown in texts:
        assert "Table 9: 2 of 4 agree" in shown
        assert "0.75" in shown
        assert "0.050" in shown
        assert "own sampling error" in shown

    rows = list(csv.DictReader(io.StringIO(export.csv_text(report, store))))
    (row,) = [
        row
        for row in rows
        if (row["measure"], row["model"]) == ("robustness", "linear")
        and (float(row["rotations.max_degrees"]), float(row["pgd.eps"])) == (0, 0.2)
    ]
    assert (row["published"], row["agrees"]) == ("0.4", "False")
    assert float(row["difference"]) == pytest.approx(-0.2)
    others = [row for row in rows if row["measure"] == "accuracy"]
    assert {row["published"] for row in others} == {""}

    (record,) = json.loads(export.json_text(report, store))["published"]
    assert (record["agree"], record["disagree"], record["missing"]) == (2, 2, 0)
    cell = record["cells"][2]
    assert (cell["ours_value"], cell["published"], cell["published_n"]) == (
        pytest.approx(0.2),
        0.4,
        1000,
    )
    assert cell["difference_low"] < cell["difference"] < cell["difference_high"] < 0


def test_reports_without_published_tables_keep_their_columns(planned, toy_store):
    plan = planned(CLAIMS)
    store = toy_store(plan, outcomes)
    report = contents.report(plan, store)
    assert "difference" not in export.csv_text(report, store).splitlines()[0]
    assert ">agrees<" not in render.text(report)


@pytest.mark.parametrize(
    ("published", "message"),
    [
        ("{}", "published: expected cells, or values by coordinates, found none"),
        ("{by: [pgd.eps]}", "published: expected by and values together, found by alone"),
        ("{by: [pgd.eps], values: {0: {0: 1}}}", "published.values.0.0: unknown key '0'"),
        (
            "{by: [rotations.max_degrees, pgd.eps], values: {0: 0.5}}",
            "published.values.0: expected keys for the values of pgd.eps, found 0.5",
        ),
        ("{by: [pgd.esp], values: {0: 0.5}}", "no coordinate 'pgd.esp'"),
        ("{by: [pgd.eps], values: {0.3: 0.5}}", "published.values.0.3.pgd.eps: no cell at"),
        (
            "{by: [pgd.eps], values: {0: 0.5}}",
            "published.values.0: several cells match, with rotations.max_degrees (0, 90, 180)",
        ),
        (
            "{cells: [{at: {pgd.eps: 0, rotations.max_degrees: 0}}]}",
            "published.cells.0.value: is missing",
        ),
        (
            "{cells: [{value: 2, n: 9, at: {pgd.eps: 0, rotations.max_degrees: 0}}]}",
            "published.cells.0.n: n gives the sampling error of a share in [0, 1], found 2",
        ),
        (
            "{cells: [{value: 2, sd: 9, seeds: 1, at: {pgd.eps: 0}}]}",
            "published.cells.0.seeds: expected at least 2, found 1",
        ),
        (
            "{by: [rotations.max_degrees, pgd.eps], values: {0: {0: 1}}, "
            "cells: [{value: 1, at: {pgd.eps: 0, rotations.max_degrees: 0}}]}",
            "the paper's number for this cell is given twice, here and at published.cells.0.at",
        ),
    ],
)
def test_a_published_table_that_does_not_fit_is_refused_at_its_place(reported, published, message):
    with pytest.raises(SpecError) as caught:
        reported(published)
    assert message in str(caught.value)
    assert "toy.yaml:" in str(caught.value)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_comparison_fits_the_terminal(reported, width):
    terminal = io.StringIO()
    text.show(reported()[0], Console(file=terminal, width=width, highlight=False))
    assert max(map(len, terminal.getvalue().splitlines())) <= width
    assert "…" not in terminal.getvalue()
