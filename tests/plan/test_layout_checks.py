"""Layouts that do not fit a plan are refused before a run, with their place and a hint."""

import pytest
from toy_specs import SWEEPS

from invspec.measures.accuracy import Accuracy
from invspec.plan.validation import layouts


def written(layout):
    return SWEEPS + f"report:\n  - {layout}\n"


@pytest.fixture
def problems(planned):
    def found(text):
        full = planned(text)
        return [str(full.spec.source.locate(problem)) for problem in layouts.problems(full)]

    return found


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("{of: robustnes}", ["report.0.of: no measure", "did you mean robustness?"]),
        ("{of: accuracy, at: {pgd.eps: 0}}", ["report.0.at.pgd.eps: no coordinate"]),
        (
            "{of: robustness, at: {pgd.eps: 0.3}}",
            ["no cell at pgd.eps 0.3", "0, 8/255, 0.1"],
        ),
        (
            "{of: robustness, rows: [modle]}",
            ["report.0.rows.0: no coordinate", "did you mean model?"],
        ),
        (
            "{of: robustness, at: {seed: 0}}",
            ["report.0.at.seed: a table or claim has no coordinate 'seed'", "always averaged"],
        ),
        ("{of: robustness, rows: [seed]}", ["report.0.rows.0: a table or claim has no coordinate"]),
        (
            "{of: accuracy, figure: band}",
            ["report.0.figure: a band needs at least two numbers that run across, found"],
        ),
        ("{of: robustness, columns: pgd.step}", ["report.0.columns: no coordinate"]),
        (
            "{of: robustness, rows: [model, defence]}",
            [
                "report.0: several cells share a place: they differ in rotations.max_degrees (0, "
                "180)",
                "to rows",
            ],
        ),
    ],
)
def test_a_layout_that_does_not_fit_is_refused_with_its_place_and_a_hint(
    problems, layout, expected
):
    (message,) = problems(written(layout))
    assert message.startswith("toy.yaml:18: ")
    for part in expected:
        assert part in message


PAIR = '  - {of: robustness, rows: [model, defence, rotations.max_degrees], legend: "%s"}'


@pytest.mark.parametrize(
    ("legend", "message"),
    [
        ("{rotation}", "report.0.legend: no coordinate 'rotation'"),
        ("{model}", "report.0.legend: several lines share a legend: they differ in defence"),
    ],
)
def test_a_legend_names_rows_and_tells_every_line_apart(problems, legend, message):
    (result,) = problems(SWEEPS + "report:\n" + PAIR % legend)
    assert message in result


@pytest.mark.parametrize("figure", ["", "  - {of: accuracy, figure: none}\n"])
def test_only_a_profile_can_have_a_panel_beside_it(problems, figure):
    (result,) = problems(SWEEPS + f"report:\n{figure}  - {{of: accuracy, figure: beside}}\n")
    assert "figure: expected a profile in the previous layout, found" in result


@pytest.mark.parametrize(
    ("figure", "needs"),
    [
        ("heatmap", "matrix"),
        ("matrix", "matrix of target classes by source classes"),
        ("images", "images"),
        ("regions", "regions of planes"),
    ],
)
def test_a_figure_of_what_no_score_stores_is_refused(problems, figure, needs):
    (result,) = problems(written(f"{{of: accuracy, figure: {figure}}}"))
    assert result == (
        f"toy.yaml:18: report.0.figure: accuracy stores no {needs}\n"
        "hint: figure: none, which shows the table alone"
    )


def test_the_hint_names_the_figures_that_there_are(problems):
    text = SWEEPS.replace("measures:", "measures:\n  success: {use: success_rate, of: walk}")
    text = text.replace("attacks:", "attacks:\n  walk: {use: nspgd}")
    text = (
        text.replace("measures: [", "measures: [success, ")
        + "report:\n  - {of: success, figure: %s}\n"
    )
    assert not problems(text % "matrix")
    (result,) = problems(text % "images")
    assert "hint: figure: matrix or heatmap, or figure: none" in result


def test_a_figure_of_a_measure_of_ones_own_is_noticed_when_it_is_drawn(problems, monkeypatch):
    monkeypatch.setattr(layouts, "source_of", lambda cls: {"source": "a digest"})
    assert not problems(written("{of: accuracy, figure: matrix}"))
    monkeypatch.setattr(Accuracy, "figures", ("images",))
    assert len(problems(written("{of: accuracy, figure: matrix}"))) == 1


PLANE = """
report:
  - of: accuracy
    rows: [model, defence, rotations.max_degrees]
    columns: attack
    figure: plane
    against: {of: robustness, at: {pgd.eps: %s}}
"""


def test_the_second_measure_of_a_plane_is_checked_in_its_place(problems):
    assert not problems(SWEEPS + PLANE % 0.1)
    (result,) = problems(SWEEPS + PLANE % 0.3)
    assert "report.0.against.at.pgd.eps: no cell at pgd.eps 0.3" in result


def test_a_plane_has_one_point_a_row(problems):
    text = SWEEPS + PLANE.replace("rows: [model, defence, rotations.max_degrees]", "rows: [model]")
    assert "one point per row, found 6 cells in 2 rows" in " ".join(problems(text % 0.1))


def test_every_problem_of_every_layout_is_reported(problems):
    wrong = "{of: accuracy, rows: [modle], columns: defense}"
    places = [message.split(": ")[1] for message in problems(f"{written(wrong)}  - {{of: acc}}\n")]
    assert places == ["report.0.rows.0", "report.0.columns", "report.1.of"]
