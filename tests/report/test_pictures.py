"""Figures and pictures in few bytes."""

import base64
import io

import numpy as np
from PIL import Image

from invspec.report import pictures


def decoded(uri):
    content = base64.b64decode(uri.removeprefix("data:image/webp;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def embedded(levels):
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_grey_pictures_lose_nothing():
    levels = np.random.default_rng(0).integers(0, 256, (28, 30), dtype=np.uint8)
    for picture in (levels, levels[..., None]):
        assert (decoded(pictures.data_uri(picture)) == levels[..., None]).all()


def test_photographs_lose_little():
    # smooth, as photographs are: noise in colour is what the format is made to drop
    across = np.linspace(0, 255, 64)
    levels = np.stack([*np.meshgrid(across, across[::-1]), np.full((64, 64), 90.0)], axis=2)
    levels = levels.astype(np.uint8)
    assert np.abs(decoded(pictures.data_uri(levels)) - levels).mean() < 3


def test_an_enlarged_image_is_embedded_in_its_own_size():
    small = np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8)
    large = np.stack([small.repeat(16, 0).repeat(16, 1)] * 3, axis=2)
    text = pictures.compact(f'<image xlink:href="{embedded(large)}"/>')
    assert (decoded(text.split('"')[1]) == small[..., None]).all()


def test_an_image_with_holes_stays_as_it_is():
    levels = np.zeros((4, 4, 4), dtype=np.uint8)
    text = f'<image xlink:href="{embedded(levels)}"/>'
    assert pictures.compact(text) == text


def test_lengths_are_rounded_and_texts_are_not():
    svg = (
        '<path d="M 1.23456 -0.00012 \nL 100.5 7.0001 \nz\n" style="stroke-width: 0.12345"/>'
        '<text x="3.14159" transform="rotate(-0 3.14159 2)">0.123456</text>'
    )
    assert pictures.compact(svg) == (
        '<path d="M 1.23 0L 100.5 7z" style="stroke-width: 0.12345"/><text x="3.14">0.123456</text>'
    )


def test_an_image_that_is_drawn_again_is_held_once():
    image = (
        f'<image xlink:href="{embedded(np.zeros((4, 4), dtype=np.uint8))}" width="4" height="4" '
    )
    other = image.replace('width="4"', 'width="5"')
    places = [f"matrix(1 0 0 1 {x} 0)" for x in range(3)]
    short = pictures.compact("".join(f'{image}transform="{place}"/>' for place in places))
    assert short.count("data:image") == 1
    assert all(f'transform="{place}"' in short for place in places)
    assert short.count('<use xlink:href="#picture_0"') == 2
    two_sizes = "".join(f'{one}transform="{places[0]}"/>' for one in (image, other))
    assert "<use" not in pictures.compact(two_sizes)


def test_a_rectangle_is_two_corners_and_another_path_is_not():
    rectangle = "M 1 2L 3 2L 3 4L 1 4L 1 2"
    for path in (rectangle, rectangle + "z", rectangle.removesuffix("L 1 2") + "z"):
        assert pictures.compact(f'<path d="{path}"/>') == '<path d="M1 2H3V4H1z"/>'
    for path in ("M 1 2L 3 2L 3.5 4L 1 4z", rectangle.removesuffix("L 1 2")):
        assert pictures.compact(f'<path d="{path}"/>') == f'<path d="{path}"/>'


def test_only_groups_of_one_text_are_taken_off():
    text = '<text x="1">one</text>'
    assert pictures.compact(f'<g id="text_1">\n {text}\n</g>') == text
    for svg in (f'<g id="text_1">{text}{text}</g>', f'<g id="axes_1">{text}</g>'):
        assert pictures.compact(svg) == svg


def test_styles_that_repeat_are_written_once():
    plain, line = '<path style="fill: red" d="M0 0"/>', '<g class="line" style="fill: red"/>'
    rare = '<path style="fill: blue"/>'
    svg = f'<svg width="1">{plain * 4}{line}{rare}</svg>'
    assert pictures.with_classes(svg, "figure1") == (
        '<svg width="1"><style>.figure1-0{fill: red}</style>'
        + '<path class="figure1-0" d="M0 0"/>' * 4
        + f"{line}{rare}</svg>"
    )
    assert (
        pictures.with_classes(f"<svg>{plain}{rare}</svg>", "figure1") == f"<svg>{plain}{rare}</svg>"
    )
