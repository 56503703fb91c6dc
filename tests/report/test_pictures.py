"""Figures of what scores keep: matrices with numbers, grids of images, regions of planes; bands between two edges."""

import base64
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from invspec.errors import SpecError
from invspec.perform.runtime import Artifact
from invspec.report import export, figures, payloads, pictures, regions, table
from invspec.report.pages import render
from invspec.report.style import CLASSES, DARK_PAGE, INK, PAGE
from invspec.scoring.rows import estimated

SPEC = """
title: Toy
seeds: [0, 1]
datasets: {digits: {}}
models: {linear: {}, lenet: {}}
defences: {normal: {use: standard}, adversarial: {use: standard, epochs: 3}}
attacks: {none: {use: identity}}
measures: {success: {use: accuracy, of: none}}
train:
  - {dataset: digits, model: [linear, lenet], defence: [normal, adversarial]}
report:
  - %s
"""
MATRIX = "{of: success, rows: [model, defence], columns: attack, figure: matrix}"
REGIONS = "{of: success, rows: [model, success.classifier], at: {defence: normal}, columns: success.circle, figure: regions}"
IMAGES = "{of: success, rows: [model], at: {defence: normal}, columns: attack, figure: images}"
ALL_QUANTITIES = (
    "nuisance",
    "logits",
    "other",
    "model_keeps",
    "model_keeps_shown",
    "readable",
    "oracle_accuracy",
)
BAND = (
    "{of: success, rows: [model, success.vertex, success.quantile], at: {defence: normal}, columns: success.radius, "
    'figure: band, legend: "vertex {success.vertex}"}'
)


@pytest.fixture
def laid(planned, toy_store):
    """The plan and the store of a spec with one layout; keep(coords) gives the tensors of a score."""

    def built(layout, keep=lambda coords: {}, rows=lambda coords: np.arange(100) < 50, spec=SPEC):
        plan = planned(spec % layout)
        store = toy_store(plan, rows)
        for cell in plan.cells:
            score = store.scores[cell.goal]
            store.scores[cell.goal] = Artifact({**score.tensors, **keep(cell.coords)}, score.rows)
        return plan, store

    return built


def drawn(plan, store):
    (one,) = table.tables(plan, store)
    return figures.draw([one])


def texts(axes):
    return [text.get_text() for text in axes.texts]


def panels(figure):
    """Its axes but for scales of colours and empty places."""
    return [axes for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]


# ─ matrices ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def matrix(coords):
    rates = torch.tensor([[torch.nan, 0.25], [0.75, torch.nan]])
    return {"matrix": rates - 0.25 * coords["seed"] if coords["model"] == "linear" else rates}


def test_a_matrix_has_a_panel_a_score_its_mean_over_seeds_in_its_cells(laid):
    first, *others = panels(drawn(*laid(MATRIX, matrix)))
    assert len(others) == 3
    assert texts(first) == ["0.12", "0.62"]  # 0.125 and 0.625, on a row of their own class
    assert [text.get_position()[0] for text in first.texts] == [1.5, 0.5]  # columns are sources
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


def luminance(colour):
    parts = np.array(to_rgb(colour))
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (
        0.2126,
        0.7152,
        0.0722,
    )


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("page", [0, 1], ids=["white", "dark"])
def test_numbers_are_legible_on_their_cells_on_either_page(page):
    for level in range(pictures.LEVELS):
        colour = pictures.on_cell((level + 0.5) / pictures.LEVELS)
        text = colour if page == 0 else pictures.dark()[colour]
        assert contrast(text, pictures.TINTS[page][level]) > 4.5  # what WCAG 2 asks for


def test_every_colour_of_a_matrix_has_another_on_a_dark_page(laid):
    (one,) = table.tables(*laid(MATRIX, matrix))
    svg = figures.inline([one], "f") or ""
    ET.fromstring(svg)
    used = set(re.findall(r"var\(--c-([0-9a-f]{6})", svg)) - {"ffffff", "000000"}
    assert used <= {colour[1:] for colour in figures.dark_colours([one])}


def test_the_mean_of_matrices_is_over_those_that_have_a_value():
    found = payloads.mean([np.array([[np.nan, 1.0]]), np.array([[np.nan, np.nan]])])
    np.testing.assert_array_equal(found, [[np.nan, 1.0]])


@pytest.mark.parametrize(
    ("layout", "lacking"),
    [
        (MATRIX, "keeps no matrix of target classes by source classes"),
        (IMAGES, "keeps no images"),
        (REGIONS, "keeps no regions of planes"),
    ],
)
def test_a_figure_of_what_a_score_does_not_keep_is_refused_in_its_place(laid, layout, lacking):
    with pytest.raises(SpecError, match=rf"toy.yaml:\d+: report.0.figure: success {lacking}"):
        table.tables(*laid(layout, lambda coords: {"cosines": torch.eye(3)}))


# ─ images ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def grid(coords):
    images = (
        torch.linspace(0, 1, 16)
        .view(1, 1, 1, 4, 4)
        .repeat(2, 2, 3 if coords["model"] == "lenet" else 1, 1, 1)
    )
    images[1, 0] = torch.nan
    captions = torch.tensor([[1.0, 0.625], [torch.nan, 0.5]])
    return {"images": images, "captions": captions, "frames": torch.eye(2, dtype=torch.bool)}


def frames(axes):
    return [
        patch
        for patch in axes.patches
        if isinstance(patch, Rectangle) and patch.get_linewidth() > 1
    ]


def test_images_stand_in_their_places_with_captions_below_and_frames(laid):
    first, second = panels(drawn(*laid(IMAGES, grid)))
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("linear", "lenet")
    assert len(first.images) == 3
    assert texts(first) == ["1.00", "0.62", "0.50"]
    assert [patch.get_xy() for patch in frames(first)] == [
        pytest.approx((image.get_extent()[0], image.get_extent()[3]))
        for image in (first.images[0], first.images[2])
    ]
    (left, right), (top, below) = (
        [image.get_extent()[place] for image in first.images[1:]] for place in (0, 3)
    )
    assert (left, top < below) == (right, True)  # the second column, two rows
    assert (first.get_xlabel(), first.get_ylabel()) == ("source class", "target class")


def test_columns_are_headed_by_what_tells_the_rows_of_a_score_apart(laid):
    def rows(coords):
        return [estimated(0.5, 0.4, 0.6, 2, image=name) for name in ("source", "result")]

    layout = IMAGES.replace("rows: [model]", "rows: [model, success.image]")
    first, _ = panels(drawn(*laid(layout, grid, rows)))
    assert [label.get_text() for label in first.get_xticklabels()] == ["source", "result"]
    assert (first.get_title(loc="left"), first.get_xlabel(), list(first.get_yticks())) == (
        "linear",
        "",
        [],
    )


def with_bars(coords):
    bars = torch.full((2, 2, 3), torch.nan)
    bars[0, 1] = torch.tensor([1.0, -4.0, 2.0])
    return {**grid(coords), "bars": bars, "sides": torch.tensor([0.5, torch.nan])}


def test_bars_stand_above_their_image_on_one_scale_and_numbers_beside_the_rows(laid):
    first, _ = panels(drawn(*laid(IMAGES, with_bars)))
    bars = [
        patch
        for patch in first.patches
        if isinstance(patch, Rectangle) and patch.get_linewidth() == 0
    ]
    assert [bar.get_height() / bars[1].get_height() for bar in bars] == pytest.approx(
        [-0.25, 1.0, -0.5]
    )
    assert [bar.get_facecolor() == bars[2].get_facecolor() for bar in bars] == [False, False, True]
    left, right, bottom, top = first.images[1].get_extent()
    assert all(left < bar.get_x() < right and bar.get_y() < top < bottom for bar in bars)
    assert [label.get_text() for label in first.get_yticklabels()] == ["0.5", ""]
    assert (first.get_xlabel(), list(first.get_xticks())) == ("", [])


def test_the_remark_says_whose_confidence_it_is_and_what_the_bars_are(laid):
    (own,) = table.tables(*laid(IMAGES, with_bars))
    assert own.remark.startswith("below each image the confidence in the label of its source")
    assert ", above it its logits" in own.remark
    asked = "{use: semantic_share, of: none, oracle: {model: linear, defence: normal}}"
    spec = SPEC.replace("{use: accuracy, of: none}", asked)
    (others,) = table.tables(*laid(IMAGES, grid, spec=spec))
    assert others.remark.startswith(
        "below each image the oracle's confidence in the class of its source, of a framed"
    )
    assert "logits" not in others.remark


def test_pixels_are_enlarged_sharply_and_other_channels_than_rgb_are_grey():
    image = np.array([[[0.0, 1.0], [0.5, 2.0]]])
    found = pictures.pixels(image)
    size = pictures.FINE // 2
    assert found.shape == (2 * size, 2 * size, 3)
    assert [found[y, x].tolist() for y, x in ((0, 0), (size - 1, size), (size, size - 1))] == [
        [0] * 3,
        [255] * 3,
        [128] * 3,
    ]
    colours = np.stack([np.full((40, 60), share) for share in (0.0, 0.2, 1.0)])
    assert pictures.pixels(colours)[0, 0].tolist() == [0, 51, 255]
    assert pictures.pixels(colours[:2])[0, 0].tolist() == [26] * 3
    assert pictures.pixels(np.zeros((3, 224, 224))).shape == (224, 224, 3)


def test_images_are_within_the_page_as_they_are(laid):
    text = render.text(replace(export.report(*laid(IMAGES, grid)), trainings=()))
    embedded = re.findall(r'xlink:href="data:image/png;base64,\s*([^"]+)"', text)
    assert len(embedded) == 6
    decoded = imread(io.BytesIO(base64.b64decode(embedded[0])), format="png")
    assert decoded.shape[:2] == (96, 96)
    assert not re.search(r'href="(?!#|data:)', text)
    assert "<figcaption>below each image the confidence in the label of its source" in text


# ─ regions ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def plane(coords):
    """A plane in which the first classifier is right and the second one takes the upper half for class 1."""
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


def test_a_plane_has_a_panel_a_classifier_with_circles_and_points(laid):
    figure = drawn(*laid(REGIONS, plane, circles))
    first, second, *others = panels(figure)
    assert len(others) == 2  # of the other model
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["logits", "nuisance"]
    assert texts(first) == ["x", "metamer", "misread: inner 0 %, outer 0 %"]
    assert texts(second) == ["x", "metamer", "misread: inner 38 %, outer 0 %"]
    radii = [np.hypot(*map(np.asarray, line.get_data())) for line in first.lines]
    assert [radius.max() for radius in radii[:4:2]] == pytest.approx([1, 10])
    assert np.asarray(first.lines[-1].get_data()).tolist() == [[-1], [9]]
    assert first.get_xlim() == first.get_ylim() == (-12, 12)


def test_areas_stand_where_the_classes_are_and_arcs_where_they_are_misread(laid):
    first, second, *_ = panels(drawn(*laid(REGIONS, plane, circles)))
    below, above = regions.area(0), regions.area(1)
    assert (
        to_hex(first.patches[0].get_facecolor())
        == to_hex(second.patches[0].get_facecolor())
        == below
    )
    assert (len(first.collections), len(second.collections)) == (0, 1)
    (area,) = second.collections
    assert to_hex(area.get_facecolor()[0]) == above
    heights = np.concatenate([path.vertices for path in area.get_paths()])[:, 1]
    assert (heights.min(), heights.max()) == (
        pytest.approx(1.5),
        12,
    )  # half-way between rows of the grid
    wrong = second.lines[1]
    assert wrong.get_color() == second.lines[0].get_color() == regions.line(0)
    x, y = (np.asarray(values)[np.isfinite(wrong.get_ydata())] for values in wrong.get_data())
    assert np.degrees(np.arctan2(y, x)) == pytest.approx(
        np.arange(22.5, 158, 22.5)
    )  # of 45, 90 and 135 degrees


def test_a_single_angle_that_is_misread_is_half_a_step_to_both_sides(laid):
    misread = plane({})["misread"]
    misread[0, 1, 0], misread[0, 1, 1] = torch.arange(8) == 4, torch.arange(8) == 0
    _, axes, *_ = panels(
        drawn(*laid(REGIONS, lambda coords: {**plane(coords), "misread": misread}, circles))
    )
    for arc, middle in zip(axes.lines[1:4:2], (180, 0), strict=True):
        x, y = (np.asarray(values)[np.isfinite(arc.get_ydata())] for values in arc.get_data())
        turned = (np.degrees(np.arctan2(y, x)) - middle + 180) % 360 - 180
        assert sorted(set(turned.round(6))) == pytest.approx([-22.5, 0, 22.5])


def test_the_name_of_a_point_has_a_box_in_the_colour_of_the_page(laid):
    axes, *_ = panels(drawn(*laid(REGIONS, plane, circles)))
    boxes = [text.get_bbox_patch() for text in axes.texts[:2]]
    assert {to_hex(box.get_facecolor()) for box in boxes} == {PAGE}
    assert PAGE in DARK_PAGE


def test_a_point_beyond_the_picture_is_at_its_edge_with_its_distance(laid):
    far = {"point_metamer": torch.tensor([[-30.0, 40.0]])}
    axes, *_ = panels(drawn(*laid(REGIONS, lambda coords: {**plane(coords), **far}, circles)))
    assert texts(axes)[1] == "metamer at 50"
    assert np.asarray(axes.lines[-1].get_data()).ravel() == pytest.approx([-0.97 * 9, 0.97 * 12])


def test_only_planes_of_several_scores_are_named(laid):
    names = [block.get_suptitle() for block in drawn(*laid(REGIONS, plane, circles)).subfigs]
    assert names == ["linear", "lenet"]
    alone = REGIONS.replace("{defence: normal}", "{defence: normal, model: linear}")
    assert [block.get_suptitle() for block in drawn(*laid(alone, plane, circles)).subfigs] == [""]


def test_the_legend_of_regions_has_the_classes_and_what_is_misread(laid):
    figure = drawn(*laid(REGIONS, plane, circles))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "class 0",
        "class 1",
        "misread",
    ]


def test_every_colour_of_regions_has_another_on_a_dark_page(laid):
    (one,) = table.tables(*laid(REGIONS, plane, circles))
    svg = figures.inline([one], "f") or ""
    ET.fromstring(svg)
    used = set(re.findall(r"var\(--c-([0-9a-f]{6})", svg))
    assert {colour[1:] for colour in (regions.area(0), regions.area(1), regions.line(0))} <= used
    assert used <= {colour[1:] for colour in figures.dark_colours([one])}
    assert "<figcaption>areas are what points are taken for" in render.text(
        replace(export.report(*laid(REGIONS, plane, circles)), trainings=())
    )


@pytest.mark.parametrize("page", [0, 1], ids=["white", "dark"])
def test_what_is_drawn_on_areas_is_told_from_them_on_either_page(page):
    ink = (INK, DARK_PAGE[INK])[page]
    for line, area in CLASSES:
        assert contrast(ink, area[page]) > 4.5  # what WCAG 2 asks for of text
        assert contrast(line[page], area[page]) > 1.5
    tints = [area[page] for _, area in CLASSES]
    assert (
        min(contrast(*pair) for pair in pairwise(tints)) > 1.3
    )  # whoever sees no hue sees a lighter or darker area


@pytest.mark.parametrize(
    ("share", "told"),
    [(0, "0 %"), (0.003, "0.3 %"), (0.12, "12 %"), (0.996, "99.6 %"), (1, "100 %")],
)
def test_a_share_that_is_nearly_none_or_all_is_told_from_it(share, told):
    assert regions.percent(share) == told


# ─ names as columns ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("names", "slanted"), [(["logits", "other"], False), (list(ALL_QUANTITIES), True)]
)
def test_names_that_would_touch_are_slanted(laid, names, slanted):
    rows = [estimated(0.5, 0.4, 0.6, 9, quantity=name) for name in names]
    layout = "{of: success, rows: [model, defence], columns: success.quantity}"
    figure = drawn(*laid(layout, rows=lambda coords: rows))
    FigureCanvasAgg(figure).draw()
    labels = figure.axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == names
    assert {label.get_rotation() > 0 for label in labels} == {slanted}
    boxes = [label.get_window_extent() for label in labels]
    assert slanted or all(one.x1 < other.x0 for one, other in pairwise(boxes))


@pytest.mark.parametrize("step", [1, 0.1])
def test_a_long_axis_of_whole_numbers_has_ticks_at_such_alone(laid, step):
    rows = [estimated(0.5, 0.4, 0.6, 9, epoch=step * k) for k in range(1, 16)]
    layout = "{of: success, rows: [model, defence], columns: success.epoch}"
    (axes, *_) = drawn(*laid(layout, rows=lambda coords: rows)).axes
    assert 3 < len(axes.get_xticks()) < 10
    assert all(tick == int(tick) for tick in axes.get_xticks()) == (step == 1)


# ─ bands ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

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


def test_bands_lie_between_the_lowest_and_the_highest_edge(laid):
    first, second = panels(drawn(*laid(BAND, rows=width)))
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("linear", "lenet")
    assert len(first.collections) == len(VERTICES)
    heights = np.asarray(first.collections[0].get_paths()[0].vertices)[:, 1]
    assert (heights.min(), heights.max()) == (pytest.approx(0.025), pytest.approx(0.95))
    low, middle, high = first.lines[:3]
    assert np.asarray(low.get_xdata()).tolist() == list(RADII)
    assert [np.asarray(line.get_ydata())[0] for line in (low, middle, high)] == [0.05, 0.5, 0.95]
    assert (low.get_linestyle(), high.get_linestyle(), middle.get_linestyle()) == ("-", "-", "--")


def test_the_legend_tells_the_bands_apart_and_panels_the_rest(laid):
    figure = drawn(*laid(BAND, rows=width))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["vertex 0", "vertex 30"]
    unworded = drawn(*laid(BAND.split(", legend")[0] + "}", rows=width))
    assert unworded.legends[0].get_title().get_text() == "success.vertex"


def test_rows_of_edges_alone_give_one_band_without_a_legend(laid):
    layout = (
        BAND.replace("[model, success.vertex, success.quantile]", "[success.quantile]").split(
            ", legend"
        )[0]
        + "}"
    )
    layout = layout.replace(
        "{defence: normal}", "{defence: normal, model: linear, success.vertex: 30}"
    )
    figure = drawn(*laid(layout, rows=width))
    (axes,) = panels(figure)
    assert (len(axes.collections), figure.legends) == (1, [])


@pytest.mark.parametrize(
    ("found", "wanted", "told"),
    [
        (
            "columns: success.radius",
            "columns: attack",
            "report.0.columns: a band runs along several numbers",
        ),
        ("success.quantile: 0.05", "", "report.0.rows: a band has two edges"),
    ],
)
def test_bands_that_cannot_be_drawn_are_refused_in_their_place(laid, found, wanted, told):
    at = "{defence: normal, success.quantile: 0.05}"
    layout = BAND.replace("{defence: normal}", at) if not wanted else BAND.replace(found, wanted)
    layout = (
        layout.replace(", success.quantile]", ", success.quantile, success.radius]")
        if wanted
        else layout
    )
    with pytest.raises(SpecError, match=rf"toy.yaml:\d+: {told}"):
        table.tables(*laid(layout, rows=width))


def test_a_band_of_nothing_computed_is_not_drawn(laid):
    plan, store = laid(BAND)
    store.scores.clear()
    (one,) = table.tables(plan, store)
    assert figures.draw([one]) is None


# ─ which distance ─────────────────────────────────────────────────────────────────────────────────────────────────────

PAIRS = """
title: Toy
datasets: {digits: {}}
models: {lenet: {}}
defences: {standard: {}}
attacks: {walk: {use: nspgd, sample: {limit: 4, targets: {per_class: 1}}}}
measures:
  success: {use: success_rate, of: walk, distance: {sweep: [lpips_alex, laidlaw_self]}, max_distance: 0.25}
  quantiles: {use: final_distance, of: walk, distance: l2}
train: [{dataset: digits, model: lenet, defence: standard}]
report:
  - {of: success, at: {success.distance: laidlaw_self}}
  - {of: success}
  - {of: quantiles}
"""


def test_captions_name_the_metric_of_distances_and_the_threshold(planned, toy_store):
    plan = planned(PAIRS)
    one, both, plain = table.tables(plan, toy_store(plan, lambda coords: np.arange(10) < 5))
    own = "LPIPS after Laidlaw (the model's own features, unsquared, unweighted)"
    assert f"{own}, max_distance 0.25" in table.caption(one)
    assert f"LPIPS (AlexNet, squared, weighted) or {own}, max_distance 0.25" in table.caption(both)
    assert "l2 distance (pixels in [0, 1])" in table.caption(plain)
    assert own in figures.draw([one]).get_supxlabel().replace("\n", " ")


def test_other_measures_speak_of_no_metric(laid):
    (one,) = table.tables(*laid(MATRIX, matrix))
    assert one.metric == ""
