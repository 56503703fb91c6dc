import re

import numpy as np
import pytest
from report_toys import drawn, panels

from invspec.report import build
from invspec.report.figures import draw
from invspec.scoring.rows import estimated

BAND = (
    "{of: success, rows: [model, success.vertex, success.quantile], at: {defence: normal}, "
    'columns: success.radius, figure: band, legend: "vertex {success.vertex}"}'
)


RADII, VERTICES = (0, 10, 20), (0, 30)


def width(coords):
    return [
        estimated(
            quantile * (1 - radius / 40),
            0,
            1,
            10,
            vertex=vertex,
            radius=radius,
            quantile=quantile,
        )
        for vertex in VERTICES
        for radius in RADII
        for quantile in (0.95, 0.5, 0.05)
    ]


def test_bands_reach_from_the_lowest_to_the_highest_edge(laid):
    first, second = panels(drawn(*laid(BAND, rows=width)))
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("linear", "lenet")
    assert len(first.collections) == len(VERTICES)
    heights = np.asarray(first.collections[0].get_paths()[0].vertices)[:, 1]
    assert (heights.min(), heights.max()) == (pytest.approx(0.025), pytest.approx(0.95))
    low, middle, high = first.lines[:3]
    assert np.asarray(low.get_xdata()).tolist() == list(RADII)
    assert [np.asarray(line.get_ydata())[0] for line in (low, middle, high)] == [0.05, 0.5, 0.95]
    assert (low.get_linestyle(), high.get_linestyle(), middle.get_linestyle()) == ("-", "-", "--")


def test_the_legend_distinguishes_bands_and_panels_the_rest(laid):
    figure = drawn(*laid(BAND, rows=width))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["vertex 0", "vertex 30"]
    without_text = drawn(*laid(BAND.split(", legend")[0] + "}", rows=width))
    assert without_text.legends[0].get_title().get_text() == "success vertex"


def test_a_single_band_has_no_legend(laid):
    layout = """
      of: success
      rows: [success.quantile]
      at: {defence: normal, model: linear, success.vertex: 30}
      columns: success.radius
      figure: band
"""
    figure = drawn(*laid(layout, rows=width))
    (axes,) = panels(figure)
    assert (len(axes.collections), figure.legends) == (1, [])


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (
            BAND.replace("columns: success.radius", "columns: attack").replace(
                "success.quantile]", "success.quantile, success.radius]"
            ),
            "report.0.columns: the columns of a band must be at least two numbers",
        ),
        (
            BAND.replace("{defence: normal}", "{defence: normal, success.quantile: 0.05}"),
            "report.0.rows: a band needs at least two values of its last row coordinate",
        ),
    ],
    ids=["columns", "edges"],
)
def test_bands_that_cannot_be_drawn_are_left_out(laid, layout, message):
    (table,) = build.tables(*laid(layout, rows=width))
    assert re.match(rf".*toy.yaml:\d+: {message}", table.problem)
    assert table.figure == "none"
    assert table.numbers


def test_a_band_without_results_is_not_drawn(laid):
    plan, store = laid(BAND)
    store.scores.clear()
    (table,) = build.tables(plan, store)
    assert draw.draw([table]) is None
