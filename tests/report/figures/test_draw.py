import re
import xml.etree.ElementTree as ET

import pytest
import torch
from report_toys import IMAGES, MATRIX, REGIONS

from invspec.report import build, captions, style
from invspec.report.figures import draw, groups
from invspec.report.figures.inline import variable


def test_a_table_without_numbers_has_no_figure(nothing):
    assert [draw.draw([table]) for table in build.tables(*nothing)] == [None, None]


def test_an_inline_figure_is_valid_and_its_colours_are_variables(toy):
    _, robustness = build.tables(*toy)
    figure = draw.inline([robustness], "f1")
    assert figure is not None
    svg = figure.svg
    ET.fromstring(svg)
    assert draw.inline([robustness], "f1") == figure
    assert f"var({variable(style.SWEEP[0][0])}, {style.SWEEP[0][0]})" in svg
    assert all(name.startswith("f1-") for name in re.findall(r'\bid="([^"]*)"', svg))


def test_a_layout_beside_another_shares_its_figure(pair):
    (panels,) = groups.group(pair)
    left, right = draw.draw(panels).axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("robustness", "accuracy")


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (MATRIX, "stores no matrix of target classes by source classes"),
        (IMAGES, "stores no images"),
        (REGIONS, "stores no regions of planes"),
    ],
)
def test_a_figure_of_something_that_scores_do_not_keep_is_left_out(laid, layout, message):
    (table,) = build.tables(*laid(layout, lambda coords: {"cosines": torch.eye(3)}))
    assert re.match(rf".*toy.yaml:\d+: report.0.figure: success {message}", table.problem)
    assert table.numbers
    assert table.figure == "none"
    assert f"left out: {table.problem}" in captions.caption(table)
