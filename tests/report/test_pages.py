import io
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from rich.console import Console

from invspec.errors import SpecError
from invspec.perform.runtime import Artifact
from invspec.report import curves, export, figures, latex, style, table, text
from invspec.report.pages import render

SPEC = """
title: Toy <script>alert(1)</script> & co_
paper: kamath2020
seeds: [0]
datasets: {digits: {}}
models: {linear: {}, lenet: {}}
defences:
  rotations: {use: rotation_augmentation, max_degrees: {sweep: [0, 90, 180]}}
attacks:
  none: {use: identity}
  pgd: {use: pgd, eps: {sweep: [0, 0.1, 0.2]}}
measures:
  accuracy: {of: none}
  robustness: {use: rate_of_invariance, of: pgd}
train:
  - {dataset: digits, model: [linear, lenet], defence: rotations}
claims:
  - says: "[bold]100 % of <b>it</b>[/bold] at $x_1$"
    source: Figure 1
    published: 0.9
    value: {measure: accuracy, at: {model: linear, rotations.max_degrees: 0}}
    expect: {value: {near: 0.8, within: 0.15}}
  - says: this fails
    value: {measure: accuracy, at: {model: linear, rotations.max_degrees: 0}}
    expect: {value: {below: 0.5}}
  - says: this waits
    trend: {measure: robustness, along: rotations.max_degrees, at: {model: lenet}, over: {pgd.eps: area}}
    expect: falling
"""


def outcomes(coords):
    lost = coords.get("pgd.eps", 0) * 300
    return (
        None
        if coords["model"] == "lenet" and coords["rotations.max_degrees"] == 90
        else np.arange(100) < 80 - lost
    )


@pytest.fixture
def toy(planned, toy_store):
    whole = planned(SPEC)
    return whole, toy_store(whole, outcomes)


@pytest.fixture
def nothing(planned, toy_store):
    whole = planned(SPEC)
    return whole, toy_store(whole, lambda coords: None)


def on_terminal(toy, width):
    written = io.StringIO()
    text.show(export.report(*toy), console=Console(file=written, width=width, highlight=False))
    return written.getvalue()


# ─ terminal ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_terminal_says_verdicts_in_words_and_users_texts_as_they_are(toy):
    said = on_terminal(toy, 100)
    assert "Claims: 1 holds, 1 fails, 1 missing" in said
    assert "[bold]100 % of <b>it</b>[/bold] at $x_1$" in said
    assert "Kamath, Deshpande, Subrahmanyam (2020)" in said
    assert "4 of 24 cells are missing and read ·" in said
    assert "invspec run toy.yaml" in said


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(toy, width):
    said = on_terminal(toy, width)
    assert max(map(len, said.splitlines())) <= width
    assert "…" not in said


def test_wide_tables_go_on_below(toy):
    narrow = on_terminal(toy, 40)
    assert narrow.count("max_degrees") > on_terminal(toy, 100).count("max_degrees")


def test_a_terminal_without_colour_gets_no_escapes(toy):
    assert "\x1b" not in on_terminal(toy, 80)


# ─ LaTeX ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_latex_escapes_what_users_write(toy):
    text = latex.text(export.report(*toy))
    assert r"{[}bold{]}100 \% of \textless{}b\textgreater{}it" in text
    assert r"at \$x\_1\$" in text
    assert r"rotations.max\_degrees (degrees)" in text


def test_latex_tables_have_as_many_cells_as_columns(toy):
    tables = re.findall(
        r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end", latex.text(export.report(*toy)), re.DOTALL
    )
    assert len(tables) == 2
    for columns, body in tables:
        plain = [
            line for line in body.splitlines() if line.endswith(r"\\") and "multicolumn" not in line
        ]
        assert {len(line.split(" & ")) for line in plain} == {len(columns)}


def test_a_percent_sign_in_a_title_does_not_end_the_line():
    assert latex.escape("50 %\n#1\x07\\x") == r"50 \% \#1\textbackslash{}x"


# ─ figures ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_models_get_a_panel_each_and_a_sweep_the_same_colours_in_each(toy):
    _, robustness = table.tables(*toy)
    assert list(figures.panels_of(robustness)) == ["linear", "lenet"]
    found = figures.styles_of(robustness)
    assert list(found) == [(0,), (90,), (180,)]
    assert (found[(0,)].colour, found[(180,)].colour) == (style.SWEEP[0][0], style.SWEEP[0][-1])


def test_a_profile_draws_the_numbers_of_the_table(toy):
    _, robustness = table.tables(*toy)
    drawn = figures.draw([robustness])
    first, second = drawn.axes[:2]
    assert first.lines[0].get_ydata().tolist() == [0.8, 0.5, 0.2]
    assert first.lines[0].get_xdata().tolist() == [0, 0.1, 0.2]
    assert np.isnan(second.lines[1].get_ydata()).all()  # missing
    assert first.get_ylim() == (0, 1)
    assert first.get_xlabel() == "pgd.eps (pixels in [0, 1])"


def test_columns_that_are_no_numbers_become_dots(toy):
    accuracy, _ = table.tables(*toy)
    (axes,) = figures.draw([accuracy]).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["linear", "lenet"]


def test_a_table_without_numbers_has_no_figure(nothing):
    assert [figures.draw([one]) for one in table.tables(*nothing)] == [None, None]


def test_rows_of_several_kinds_keep_the_sweep_and_get_colours_of_their_own():
    rows = [("rotations", 0.0), ("rotations", 180.0), ("plain", None)]
    lines = tuple(table.Line(row, (None, None)) for row in rows)
    one = table.Table(
        "", "", "m", ("defence", "rotations.max_degrees"), "pgd.eps", (0, 1), lines, {}, {}, True
    )
    flat = figures.panels_of(one)
    assert list(flat) == ["rotations", "plain"]
    assert {look.colour for look in figures.styles_of(one).values()} >= {
        style.SWEEP[0][0],
        style.KINDS[0][0],
    }


def test_an_inline_figure_is_whole_and_its_colours_are_variables(toy):
    _, robustness = table.tables(*toy)
    svg = figures.inline([robustness], "f1") or ""
    ET.fromstring(svg)
    assert figures.inline([robustness], "f1") == svg
    assert f"var({figures.variable(style.SWEEP[0][0])}, {style.SWEEP[0][0]})" in svg
    assert all(name.startswith("f1-") for name in re.findall(r'\bid="([^"]*)"', svg))


# ─ the page ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Page(HTMLParser):
    """Tags, ids and links of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]


def test_the_page_needs_nothing_beside_it_and_runs_nothing(toy, tmp_path):
    page = render.write(export.report(*toy), folder=tmp_path / "report")
    read = Page(page.read_text())
    assert page == tmp_path / "report" / "index.html"
    assert not {"script", "link", "iframe", "img"} & set(read.tags)
    assert all(link.startswith("#") for link in read.links)
    assert len(read.ids) == len(set(read.ids))
    assert {path.name for path in (tmp_path / "report" / "figures").iterdir()} == {
        f"{name}.{ending}"
        for name in ("accuracy", "robustness", "training", "training-2")
        for ending in ("png", "svg")
    }


def test_the_page_escapes_what_users_write(toy):
    text = render.text(export.report(*toy))
    assert "<script" not in text
    assert "Toy &lt;script&gt;alert(1)&lt;/script&gt; &amp; co_" in text
    assert "&lt;b&gt;it&lt;/b&gt;" in text


def test_a_page_of_nothing_can_be_written(nothing, tmp_path):
    text = render.write(export.report(*nothing), folder=tmp_path).read_text()
    assert "24 of 24 cells are missing" in text
    assert "scores to come" in text


def test_a_gauge_shows_where_the_interval_lies(toy):
    holds, fails, waits = export.report(*toy).verdicts
    drawn, above = render.gauge(holds), render.gauge(fails)
    assert drawn.least < drawn.low < drawn.value < drawn.high < drawn.least + drawn.wide
    assert (above.least, above.low > above.wide) == (0, True)
    assert render.gauge(waits) is None


# ─ panels, legends, heatmaps, curves ──────────────────────────────────────────────────────────────────────────────────

PAIR = """
report:
  - {of: robustness, title: A pair, rows: [model, rotations.max_degrees], at: {model: linear}, legend: "%s/0"}
  - {of: accuracy, figure: beside, rows: [model, rotations.max_degrees], at: {model: linear}}
"""


@pytest.fixture
def pair(planned, toy_store):
    whole = planned(SPEC + PAIR % "{rotations.max_degrees}")
    return table.tables(whole, toy_store(whole, outcomes))


def test_a_layout_beside_another_shares_its_figure(pair):
    (panels,) = figures.together(pair)
    left, right = figures.draw(panels).axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("robustness", "accuracy")


def test_a_legend_speaks_the_words_of_its_layout(pair):
    left, right = figures.draw(pair).axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["0/0", "90/0", "180/0"]
    assert [text.get_text() for text in right.get_legend().get_texts()] == [
        "linear 0",
        "linear 90",
        "linear 180",
    ]


def test_a_heatmap_draws_the_matrix_that_a_measure_keeps(planned, toy_store):
    whole = planned(
        SPEC
        + "report:\n  - {of: accuracy, figure: heatmap, rows: [model, rotations.max_degrees]}\n"
    )
    store = toy_store(whole, outcomes)
    for goal, artifact in store.scores.items():
        store.scores[goal] = Artifact({**artifact.tensors, "cosines": torch.eye(3)}, artifact.rows)
    (one,) = table.tables(whole, store)
    assert {picture.values.shape for picture in one.pictures.values()} == {(3, 3)}
    squares = [
        axes for axes in figures.draw([one]).axes if axes.collections and axes.get_title(loc="left")
    ]
    assert len(squares) == len(one.pictures) == 5  # one of the six is missing
    assert squares[0].collections[0].get_array().max() == 1


def test_a_heatmap_of_what_keeps_no_matrix_is_refused_in_its_place(planned, toy_store):
    whole = planned(
        SPEC
        + "report:\n  - {of: accuracy, figure: heatmap, rows: [model, rotations.max_degrees]}\n"
    )
    with pytest.raises(SpecError, match=r"toy.yaml:\d+: report.0.figure: accuracy keeps no matrix"):
        table.tables(whole, toy_store(whole, outcomes))


def test_a_legend_that_begins_with_the_first_rows_keeps_one_panel(planned, toy_store):
    legend = "{model} {rotations.max_degrees}"
    layout = f'{{of: robustness, rows: [model, rotations.max_degrees], legend: "{legend}"}}'
    whole = planned(SPEC + f"report:\n  - {layout}\n")
    (one,) = table.tables(whole, toy_store(whole, outcomes))
    (axes,) = figures.draw([one]).axes
    assert "linear 90" in [text.get_text() for text in figures.draw([one]).legends[0].get_texts()]
    assert len(axes.lines) == 6


def test_curves_of_trainings_are_tables_over_epochs(planned, toy_store):
    whole = planned(SPEC.replace("seeds: [0]", "seeds: [0, 1]"))
    tables = list(curves.tables(whole, toy_store(whole, outcomes)))
    assert [(one.measure, one.figure) for one in tables] == [
        ("loss", "profile"),
        ("accuracy", "beside"),
    ] * 2
    assert tables[0].across == (1, 2, 3)
    assert [line.labels for line in tables[0].lines] == [(0,), (90,), (180,)]
    first = tables[0].lines[0].numbers[0]
    assert (first.value, first.low, first.high, first.seeds) == (2.5, 2, 3, 2)
    assert len(figures.together(tables)) == 2


def test_the_page_shows_how_trainings_went_and_their_figures_are_files(toy, tmp_path):
    text = render.write(export.report(*toy), folder=tmp_path).read_text()
    assert "Training linear on digits: rotations" in text
    assert (tmp_path / "figures" / "training.png").exists()
    assert (tmp_path / "figures" / "training-2.svg").exists()


PLANE = """
report:
  - of: accuracy
    rows: [model, rotations.max_degrees]
    figure: plane
    against: {of: robustness, at: {pgd.eps: %s}}
"""


def test_a_plane_has_a_point_a_row(planned, toy_store):
    whole = planned(SPEC + PLANE % "0.1")
    (one,) = table.tables(whole, toy_store(whole, outcomes))
    (axes,) = figures.draw([one]).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("accuracy", "robustness at pgd.eps 0.1")
    points = [line for line in axes.lines if line.get_marker() not in ("None", "")]
    assert [tuple(np.ravel(line.get_xydata())) for line in points] == [
        (0.8, 0.5)
    ] * 5  # one is missing


def test_the_front_is_what_nothing_surpasses():
    assert figures.front([(0, 3), (1, 2), (1, 1), (2, 0), (0.5, 1), (2, 0)]) == [
        (0, 3),
        (1, 2),
        (2, 0),
    ]
