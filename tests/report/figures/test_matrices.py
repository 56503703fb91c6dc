import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from report_toys import CLAIMS, MATRIX, contrast, drawn, matrix, outcomes, panels, texts

from invspec.perform.runtime import Artifact
from invspec.report import build, drawings
from invspec.report.figures import draw, matrices


def test_each_score_has_a_panel_with_means_over_seeds(laid):
    first, *others = panels(drawn(*laid(MATRIX, matrix)))
    assert len(others) == 3
    # 0.125 and 0.625; rows are targets, columns are sources.
    assert texts(first) == ["0.12", "0.62"]
    assert [text.get_position()[0] for text in first.texts] == [1.5, 0.5]
    assert first.get_title(loc="left") == "linear normal \N{MIDDLE DOT} mean 0.38"
    assert others[-1].get_title(loc="left") == "lenet adversarial \N{MIDDLE DOT} mean 0.50"
    assert (first.get_xlabel(), first.get_ylabel()) == ("source class", "target class")
    assert first.yaxis_inverted()


def test_all_matrices_share_one_scale(laid):
    figure = drawn(*laid(MATRIX, matrix))
    assert {axes.collections[0].get_clim() for axes in panels(figure)} == {(0, 1)}
    distances = drawn(*laid(MATRIX, lambda coords: {"matrix": 20 * matrix(coords)["matrix"]}))
    assert {axes.collections[0].get_clim() for axes in panels(distances)} == {(0, 15)}
    assert "2.5" in texts(panels(distances)[0])


def test_many_classes_have_no_numbers_and_fewer_ticks(laid):
    axes, *_ = panels(drawn(*laid(MATRIX, lambda coords: {"matrix": torch.rand(43, 43)})))
    assert not axes.texts
    assert [label.get_text() for label in axes.get_xticklabels()][:3] == ["0", "3", "6"]


@pytest.mark.parametrize("page", [0, 1], ids=["white", "dark"])
def test_numbers_are_legible_in_their_cells_on_both_pages(page):
    for level in range(matrices.LEVELS):
        colour = matrices.text_colour((level + 0.5) / matrices.LEVELS)
        text = colour if page == 0 else matrices.dark_colours()[colour]
        cell = (matrices.LIGHT_TINTS, matrices.DARK_TINTS)[page][level]
        # WCAG 2 requires 4.5 for text.
        assert contrast(text, cell) > 4.5


def test_every_colour_of_a_matrix_has_a_dark_counterpart(laid):
    (table,) = build.tables(*laid(MATRIX, matrix))
    figure = draw.inline([table], "f")
    assert figure is not None
    svg = figure.svg
    ET.fromstring(svg)
    used = set(re.findall(r"var\(--c-([0-9a-f]{6})", svg)) - {"ffffff", "000000"}
    assert used <= {colour[1:] for colour in figure.dark}


def test_the_mean_of_matrices_skips_missing_values():
    mean = drawings.mean([np.array([[np.nan, 1.0]]), np.array([[np.nan, np.nan]])])
    np.testing.assert_array_equal(mean, [[np.nan, 1.0]])


HEATMAP = """
report:
  - {of: accuracy, figure: heatmap, rows: [model, rotations.max_degrees]}
"""


def test_a_heat_map_draws_the_matrix_that_a_measure_keeps(planned, toy_store):
    plan = planned(CLAIMS + HEATMAP)
    store = toy_store(plan, outcomes)
    for goal, artifact in store.scores.items():
        store.scores[goal] = Artifact({**artifact.tensors, "values": torch.eye(3)}, artifact.rows)
    (table,) = build.tables(plan, store)
    assert {drawing.values.shape for drawing in table.drawings.values()} == {(3, 3)}
    squares = [
        axes for axes in draw.draw([table]).axes if axes.collections and axes.get_title(loc="left")
    ]
    # One of the six trainings is missing.
    assert len(squares) == len(table.drawings) == 5
    assert squares[0].collections[0].get_array().max() == 1


def test_a_heat_map_of_a_measure_without_a_matrix_is_left_out(planned, toy_store):
    plan = planned(CLAIMS + HEATMAP)
    (table,) = build.tables(plan, toy_store(plan, outcomes))
    assert re.match(
        r".*toy.yaml:\d+: report.0.figure: accuracy stores no matrix \(figure: none ", table.problem
    )
    assert table.numbers
