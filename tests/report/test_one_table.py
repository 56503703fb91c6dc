"""Tables of several measures side by side, and how their numbers are shown."""

import io

import numpy as np
import pytest
from rich.console import Console

from invspec.plan.validation import layouts as checks
from invspec.report import latex, markdown, records, text
from invspec.report.captions import caption
from invspec.report.contents import report
from invspec.report.figures import draw
from invspec.report.format import NO_CELL, heading_rows, shown_lines
from invspec.report.pages import render

NETS = """
title: Nets
seeds: [0]
datasets: {digits: {}}
models: {linear: {}, lenet: {}}
defences: {plain: {use: standard}}
attacks:
  clean: {use: identity}
  pgd: {use: pgd, eps: {sweep: [0.1, 0.2]}}
  rotation: {use: random_rotation, max_degrees: 30}
measures:
  accuracy: {of: clean}
  robust_accuracy: {of: pgd}
  invariance: {use: rate_of_invariance, of: rotation}
  lost: {use: final_distance, of: pgd}
train:
  - {dataset: digits, model: [linear, lenet], defence: plain}
"""
# correct of 1,000 images, by net and measure
COUNTS = {
    ("linear", "accuracy"): 900,
    ("lenet", "accuracy"): 980,
    ("linear", "invariance"): 500,
    ("lenet", "invariance"): 510,
}


def counted(coords):
    count = COUNTS.get((coords["model"], coords["measure"]), 300)
    return np.arange(1000) < count - 1000 * coords.get("pgd.eps", 0)


def laid(layout):
    return f"{NETS}report:\n  - {layout}\n"


@pytest.fixture
def shown(planned, toy_store):
    def whole(layout, by=counted):
        plan = planned(laid(layout) if layout else NETS)
        return report(plan, toy_store(plan, by))

    return whole


def printed(result):
    console = Console(width=80, record=True, file=io.StringIO())
    text.show(result, console)
    return console.export_text()


def values(table):
    return [[number.value for number in numbers] for _, numbers in shown_lines(table)]


def test_measures_stand_side_by_side_each_with_its_own_columns(shown):
    (table,) = shown("{of: [accuracy, robust_accuracy, invariance]}").tables
    assert table.rows == ("model",)
    assert heading_rows(table) == (
        [("accuracy", 1), ("robust_accuracy by pgd.eps (pixels in [0, 1])", 2), ("invariance", 1)],
        ["", "0.1", "0.2", ""],
    )
    assert values(table) == [
        ["0.900", "0.200", "0.100", "0.500"],
        ["0.980", "0.200", "0.100", "0.510"],
    ]


def test_what_is_fixed_of_one_measure_leaves_the_others_as_they_are(shown):
    (table,) = shown("{of: [accuracy, robust_accuracy], at: {pgd.eps: 0.2}}").tables
    assert heading_rows(table) == ([], ["accuracy", "robust_accuracy"])
    assert values(table) == [["0.900", "0.100"], ["0.980", "0.100"]]
    assert "pgd.eps 0.2" in caption(table)


def test_without_layouts_measures_with_one_number_for_a_net_share_a_table(shown):
    scalar, *others = shown("").tables
    assert [block.measure for block in scalar.blocks] == ["accuracy", "invariance"]
    assert [table.measure for table in others] == ["robust_accuracy", "lost"]
    assert scalar.summary.startswith("accuracy: share of ")


def test_no_column_needs_no_coordinate(shown):
    (table,) = shown("{of: accuracy, columns: none}").tables
    assert (table.columns, table.rows) == (None, ("model",))
    assert heading_rows(table) == ([], ["accuracy"])


def test_with_no_columns_sweeps_of_several_measures_run_down(shown):
    (table,) = shown("{of: [robust_accuracy, lost], columns: none}").tables
    assert table.rows == ("model", "pgd.eps")
    assert heading_rows(table) == ([], ["robust_accuracy", "lost"])
    assert len(table.lines) == 4


def test_a_number_that_the_spec_does_not_ask_for_differs_from_a_missing_one(planned, toy_store):
    some = laid("{of: [accuracy, invariance]}").replace(
        "model: [linear, lenet], defence: plain",
        "model: linear, defence: plain}\n"
        "  - {dataset: digits, model: lenet, defence: plain, measures: accuracy",
    )
    plan = planned(some)
    store = toy_store(plan, lambda c: None if c["measure"] == "invariance" else counted(c))
    (table,) = report(plan, store).tables
    assert values(table) == [["0.900", "·"], ["0.980", NO_CELL]]
    assert f"{NO_CELL} has no number by the spec" in caption(table)


def test_names_replace_those_of_the_spec_in_headings_rows_and_columns(shown):
    (table,) = shown(
        "{of: [accuracy, robust_accuracy], "
        "names: {model: net, lenet: LeNet, accuracy: clean, pgd.eps: radius}}"
    ).tables
    assert [labels for labels, _ in shown_lines(table)] == [["linear"], ["LeNet"]]
    assert table.headings["model"] == "net"
    assert heading_rows(table)[0] == [("clean", 1), ("robust_accuracy by radius", 2)]


def test_names_of_the_spec_hold_for_all_layouts_which_may_differ(planned, toy_store):
    named = "names: {lenet: LeNet, linear: logistic regression}\n"
    plan = planned(named + laid("{of: accuracy, columns: none, names: {lenet: CNN}}"))
    (table,) = report(plan, toy_store(plan, counted)).tables
    assert [labels for labels, _ in shown_lines(table)] == [["logistic regression"], ["CNN"]]


NAMED = "names: {robust_accuracy: robust accuracy, pgd: PGD, pgd.eps: radius, lenet: LeNet}\n"


def test_names_of_the_spec_are_those_of_titles_and_captions(planned, toy_store):
    plan = planned(NAMED + laid("{of: robust_accuracy, at: {pgd.eps: 0.1, model: lenet}}"))
    whole = report(plan, toy_store(plan, counted))
    (table,) = whole.tables
    assert table.title == "robust accuracy under PGD"
    assert caption(table).startswith("radius 0.1; model LeNet; ")
    for shown in (latex.text(whole), render.text(whole), markdown.section(table), printed(whole)):
        assert "robust accuracy under PGD" in shown
        assert "robust_accuracy under" not in shown
        assert "under pgd" not in shown


def test_names_are_those_of_the_summary_of_several_measures(planned, toy_store):
    plan = planned(NAMED + laid("{of: [accuracy, robust_accuracy]}"))
    (table,) = report(plan, toy_store(plan, counted)).tables
    assert table.title == "accuracy and robust accuracy"
    assert "robust accuracy under PGD: share of examples" in table.summary


def test_a_title_of_a_layout_wins_over_names(planned, toy_store):
    plan = planned(NAMED + laid("{of: robust_accuracy, title: robust_accuracy of nets}"))
    (table,) = report(plan, toy_store(plan, counted)).tables
    assert table.title == "robust_accuracy of nets"


def test_names_are_those_of_the_axes_of_a_plane(planned, toy_store):
    plane = (
        "{of: accuracy, rows: [model], figure: plane, "
        "against: {of: robust_accuracy, at: {pgd.eps: 0.1}}}"
    )
    plan = planned(NAMED + laid(plane))
    (table,) = report(plan, toy_store(plan, counted)).tables
    (axes,) = draw.draw([table]).axes
    assert axes.get_ylabel() == "robust accuracy at radius 0.1"


def test_shares_in_per_cent_and_decimals(shown):
    (table,) = shown("{of: [accuracy, lost], at: {pgd.eps: 0.1}, percent: true}").tables
    assert values(table)[0][0] == "90.0"
    assert "numbers of accuracy in per cent" in caption(table)
    (table,) = shown("{of: accuracy, columns: none, percent: true, decimals: 2}").tables
    assert values(table) == [["90.00"], ["98.00"]]
    (table,) = shown("{of: accuracy, columns: none, decimals: 1}").tables
    assert values(table) == [["0.9"], ["1.0"]]


def test_the_best_of_a_column_and_all_within_its_interval_are_bold(shown):
    result = shown("{of: [accuracy, invariance], best: highest}")
    (table,) = result.tables
    bold = [[number.is_best for number in numbers] for _, numbers in shown_lines(table)]
    assert bold == [[False, True], [True, True]]
    assert "bold: the highest of a column and all within its interval" in caption(table)
    assert r"\textbf{0.980}" in latex.text(result)
    assert "<b>0.980</b>" in render.text(result)
    assert "<b>0.900</b>" not in render.text(result)


def test_each_measure_can_have_its_own_best(shown):
    (table,) = shown("{of: [accuracy, invariance], best: {accuracy: lowest}}").tables
    bold = [[number.is_best for number in numbers] for _, numbers in shown_lines(table)]
    assert bold == [[True, False], [False, False]]


def test_a_table_of_several_measures_reads_on_80_columns(shown):
    page = printed(shown("{of: [accuracy, robust_accuracy, invariance]}"))
    assert max(map(len, page.splitlines()[:-1])) <= 80
    assert "robust_" in page
    assert "0.510" in page


def test_frames_and_records_hold_all_measures(shown):
    result = shown("{of: [accuracy, robust_accuracy]}")
    rows = [row for row in records.numbers(result) if row["kind"] == "table"]
    assert [row["measure"] for row in rows] == ["accuracy"] * 2 + ["robust_accuracy"] * 4
    assert [row.get("pgd.eps") for row in rows] == [None, None, 0.1, 0.2, 0.1, 0.2]


@pytest.mark.parametrize(
    ("layout", "problem"),
    [
        ("{of: [accuracy, invarianc]}", "report.0.of.1: no measure 'invarianc' in any cell"),
        (
            "{of: [accuracy, invariance], at: {pgd.eps: 0.1}}",
            "report.0.at.pgd.eps: no coordinate 'pgd.eps'",
        ),
        (
            "{of: robust_accuracy, columns: [pgd.eps, model]}",
            "report.0.columns: expected one coordinate, found pgd.eps, model",
        ),
        ("{of: lost, columns: model, at: {pgd.eps: 0.1}, percent: true}", "lost is no share"),
        (
            "{of: [accuracy, invariance], best: {acuracy: highest}}",
            "report.0.best.acuracy: no measure 'acuracy' here",
        ),
        (
            "{of: robust_accuracy, columns: none, rows: model}",
            "report.0: several cells share a place: they differ in pgd.eps (0.1, 0.2)",
        ),
    ],
)
def test_a_layout_of_several_measures_that_does_not_fit_is_refused(planned, layout, problem):
    plan = planned(laid(layout))
    (error,) = checks.problems(plan)
    assert problem in str(plan.spec.source.locate(error))
