import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from report_toys import REGIONS, contrast, drawn, panels, texts

from invspec.measures.accuracy import Accuracy
from invspec.report import build, contents
from invspec.report.figures import draw, regions
from invspec.report.pages import render
from invspec.report.style import CLASSES, DARK_PAGE, INK, PAGE
from invspec.scoring.rows import estimated


def plane(coords):
    """The first classifier is right; the second predicts class 1 on the upper half."""
    upper = torch.zeros(9, 9, dtype=torch.uint8)
    upper[5:] = 1
    misread = torch.zeros(1, 2, 2, 8, dtype=torch.bool)
    misread[0, 1, 0, 1:4] = True
    return {
        "regions": torch.stack([torch.zeros_like(upper), upper]).unsqueeze(0),
        "misread": misread,
        "extent": torch.tensor([12.0]),
        "radii": torch.tensor([1.0, 10.0]),
        "labels": torch.tensor([0, 1]),
        "point_x": torch.tensor([[10.0, 0.0]]),
        "point_metamer": torch.tensor([[-1.0, 9.0]]),
    }


def circles(coords):
    return [
        estimated(0.5, 0.4, 0.6, 2, classifier=classifier, circle=circle)
        for classifier in ("logits", "nuisance")
        for circle in ("inner", "outer")
    ]


def test_each_classifier_has_a_panel_with_circles_and_points(laid):
    figure = drawn(*laid(REGIONS, plane, circles))
    first, second, *others = panels(figure)
    assert len(others) == 2  # of the other model
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["logits", "nuisance"]
    assert texts(first) == ["x", "metamer", "errors: inner 0 %, outer 0 %"]
    assert texts(second) == ["x", "metamer", "errors: inner 38 %, outer 0 %"]
    radii = [np.hypot(*map(np.asarray, line.get_data())) for line in first.lines]
    assert [radius.max() for radius in radii[:4:2]] == pytest.approx([1, 10])
    assert np.asarray(first.lines[-1].get_data()).tolist() == [[-1], [9]]
    assert first.get_xlim() == first.get_ylim() == (-12, 12)


def test_areas_show_predicted_classes_and_thick_arcs_show_errors(laid):
    first, second, *_ = panels(drawn(*laid(REGIONS, plane, circles)))
    below, above = regions.area_colour(0), regions.area_colour(1)
    backgrounds = {to_hex(axes.patches[0].get_facecolor()) for axes in (first, second)}
    assert backgrounds == {below}
    assert (len(first.collections), len(second.collections)) == (0, 1)
    (area,) = second.collections
    assert to_hex(area.get_facecolor()[0]) == above
    heights = np.concatenate([path.vertices for path in area.get_paths()])[:, 1]
    # The edge is half-way between two rows of the grid.
    assert (heights.min(), heights.max()) == (pytest.approx(1.5), 12)
    wrong = second.lines[1]
    assert wrong.get_color() == second.lines[0].get_color() == regions.line_colour(0)
    x, y = (np.asarray(values)[np.isfinite(wrong.get_ydata())] for values in wrong.get_data())
    # Errors at 45, 90 and 135 degrees.
    assert np.degrees(np.arctan2(y, x)) == pytest.approx(np.arange(22.5, 158, 22.5))


def test_an_error_at_one_angle_is_an_arc_of_half_a_step_to_both_sides(laid):
    misread = plane({})["misread"]
    misread[0, 1, 0], misread[0, 1, 1] = torch.arange(8) == 4, torch.arange(8) == 0
    _, axes, *_ = panels(
        drawn(*laid(REGIONS, lambda coords: {**plane(coords), "misread": misread}, circles))
    )
    for arc, middle in zip(axes.lines[1:4:2], (180, 0), strict=True):
        x, y = (np.asarray(values)[np.isfinite(arc.get_ydata())] for values in arc.get_data())
        turned = (np.degrees(np.arctan2(y, x)) - middle + 180) % 360 - 180
        assert sorted(set(turned.round(6))) == pytest.approx([-22.5, 0, 22.5])


def test_names_of_points_have_a_box_in_the_colour_of_the_page(laid):
    axes, *_ = panels(drawn(*laid(REGIONS, plane, circles)))
    boxes = [text.get_bbox_patch() for text in axes.texts[:2]]
    assert {to_hex(box.get_facecolor()) for box in boxes} == {PAGE}
    assert PAGE in DARK_PAGE


def test_a_point_outside_the_panel_is_drawn_at_its_edge_with_its_distance(laid):
    far = {"point_metamer": torch.tensor([[-30.0, 40.0]])}
    axes, *_ = panels(drawn(*laid(REGIONS, lambda coords: {**plane(coords), **far}, circles)))
    assert texts(axes)[1] == "metamer at 50"
    assert np.asarray(axes.lines[-1].get_data()).ravel() == pytest.approx([-0.97 * 9, 0.97 * 12])


def test_planes_have_names_only_if_there_are_several_scores(laid):
    names = [block.get_suptitle() for block in drawn(*laid(REGIONS, plane, circles)).subfigs]
    assert names == ["linear", "lenet"]
    alone = REGIONS.replace("{defence: normal}", "{defence: normal, model: linear}")
    assert [block.get_suptitle() for block in drawn(*laid(alone, plane, circles)).subfigs] == [""]


def test_the_legend_has_the_classes_and_a_misclassified_arc(laid):
    figure = drawn(*laid(REGIONS, plane, circles))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "class 0",
        "class 1",
        "misclassified",
    ]


def test_every_colour_of_regions_has_a_dark_counterpart(laid, monkeypatch):
    monkeypatch.setattr(Accuracy, "figures", ("regions",))
    (table,) = build.tables(*laid(REGIONS, plane, circles))
    figure = draw.inline([table], "f")
    assert figure is not None
    svg = figure.svg
    ET.fromstring(svg)
    used = set(re.findall(r"var\(--c-([0-9a-f]{6})", svg))
    colours = (regions.area_colour(0), regions.area_colour(1), regions.line_colour(0))
    assert {colour[1:] for colour in colours} <= used
    assert used <= {colour[1:] for colour in figure.dark}
    assert "<figcaption>each area has the colour of the predicted class" in render.text(
        replace(contents.report(*laid(REGIONS, plane, circles)), trainings=())
    )


@pytest.mark.parametrize("page", [0, 1], ids=["white", "dark"])
def test_ink_and_circles_contrast_with_areas_on_both_pages(page):
    ink = (INK, DARK_PAGE[INK])[page]
    for line, area in CLASSES:
        # WCAG 2 requires 4.5 for text.
        assert contrast(ink, area[page]) > 4.5
        assert contrast(line[page], area[page]) > 1.5
    tints = [area[page] for _, area in CLASSES]
    # Without colour vision, areas still differ in lightness.
    assert min(contrast(*pair) for pair in pairwise(tints)) > 1.3


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.003, "0.3 %"), (0.12, "12 %"), (0.996, "99.6 %"), (1, "100 %")],
)
def test_a_share_that_is_almost_0_or_1_is_not_rounded_to_it(share, text):
    assert regions.percent(share) == text
