import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from PIL import Image
from report_toys import IMAGES, drawn, grid, panels, texts, with_bars

from invspec.measures.accuracy import Accuracy
from invspec.report import contents
from invspec.report.figures import images
from invspec.report.pages import render
from invspec.scoring.rows import estimated


def frames(axes):
    return [
        patch
        for patch in axes.patches
        if isinstance(patch, Rectangle) and patch.get_linewidth() > 1
    ]


def test_images_have_captions_and_frames_in_the_right_places(laid):
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
    # Both are in the second column, one below the other.
    assert (left, top < below) == (right, True)
    assert (first.get_xlabel(), first.get_ylabel()) == ("source class", "target class")


def test_columns_are_headed_by_the_coordinates_of_the_rows_of_a_score(laid):
    def rows(coords):
        return [estimated(0.5, 0.4, 0.6, 2, image=name) for name in ("source", "result")]

    layout = IMAGES.replace("rows: [model]", "rows: [model, success.image]")
    first, _ = panels(drawn(*laid(layout, grid, rows)))
    assert [label.get_text() for label in first.get_xticklabels()] == ["source", "result"]
    assert (first.get_title(loc="left"), first.get_xlabel()) == ("linear", "")
    assert list(first.get_yticks()) == []


def test_bars_above_images_share_a_scale_and_rows_have_numbers_beside_them(laid):
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


def test_pixels_are_enlarged_without_blur_and_images_that_are_not_rgb_are_grey():
    image = np.array([[[0.0, 1.0], [0.5, 2.0]]])
    pixels = images.pixels(image)
    size = images.ENLARGED // 2
    assert pixels.shape == (2 * size, 2 * size, 3)
    corners = ((0, 0), (size - 1, size), (size, size - 1))
    assert [pixels[y, x].tolist() for y, x in corners] == [[0] * 3, [255] * 3, [128] * 3]
    colours = np.stack([np.full((40, 60), share) for share in (0.0, 0.2, 1.0)])
    assert images.pixels(colours)[0, 0].tolist() == [0, 51, 255]
    assert images.pixels(colours[:2])[0, 0].tolist() == [26] * 3
    assert images.pixels(np.zeros((3, 224, 224))).shape == (224, 224, 3)


def test_images_are_embedded_in_the_page(laid, monkeypatch):
    monkeypatch.setattr(Accuracy, "figures", ("images",))
    text = render.text(replace(contents.report(*laid(IMAGES, grid)), trainings=()))
    # all are alike, so that one is held and drawn again
    embedded = re.findall(r'xlink:href="data:image/webp;base64,([^"]+)"', text)
    again = re.findall(r'<use xlink:href="#figure\d+-picture_0"', text)
    assert (len(embedded), len(again)) == (1, 5)
    decoded = Image.open(io.BytesIO(base64.b64decode(embedded[0])))
    # not enlarged: the page shows pixels as squares
    assert decoded.size == (4, 4)
    assert "image-rendering: pixelated" in text
    assert not re.search(r'href="(?!#|data:)', text)
    assert "<figcaption>below each image: the confidence in the true class" in text
