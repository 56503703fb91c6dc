"""Pictures inside a page: small files that every browser shows."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# of photographs, from 0 to 100; what it loses is far below one level of grey in most pixels
QUALITY = 90
NUMBER = re.compile(r"-?\d+\.\d{3,}")
# attributes of SVG that hold lengths
LENGTHS = re.compile(r'\b(d|x|y|x1|y1|x2|y2|cx|cy|width|height|transform|points)="([^"]*)"')
# what says nothing: turns by no angle, the name of a font, blanks around the commands of a path and
# between elements, a group of a single text or path, the names of images; rectangles by two corners
SHORTER = (
    (re.compile(r' transform="rotate\(-?0 [^)]*\)"'), ""),
    (re.compile(r" font-family: 'DejaVu Sans';"), ""),
    (re.compile(r"\s*\n\s*(?=[LCQZMz\"])"), ""),
    (re.compile(r">\s+<"), "><"),
    (
        re.compile(r'<g id="(?:text|patch)_\d+">(<(?:path|text)\b[^>]*(?:/>|>[^<]*</text>))</g>'),
        r"\1",
    ),
    (re.compile(r'(<image\b[^>]*?) id="image\w+"'), r"\1"),
    (
        re.compile(r'd="M (\S+) (\S+) ?L (\S+) \2 ?L \3 (\S+) ?L \1 \4 ?(?:L \1 \2 ?z?|z)"'),
        r'd="M\1 \2H\3V\4H\1z"',
    ),
)
STYLED = re.compile(
    r"<(?P<head>[\w:]+(?: (?!style=|class=)[\w:-]+=\"[^\"]*\")*) style=\"(?P<style>[^\"]*)\""
)
PLACED = re.compile(
    r'<image (?P<attributes>xlink:href="data:[^"]*"[^>]*?) '
    r'transform="(?P<transform>[^"]*)"(?P<others>[^>]*?)/>'
)
# a style that more elements than this have is written once
FEW = 3
EMBEDDED = re.compile(r"data:image/png;base64,([\w+/=\s]+)")


def data_uri(picture: NDArray[Any]) -> str:
    """A picture (H, W) or (H, W, 1 or 3) of bytes as WebP: grey ones without loss."""
    levels = picture.squeeze(2) if picture.ndim == 3 and picture.shape[2] == 1 else picture
    image, file = Image.fromarray(levels).convert("RGB"), io.BytesIO()
    if levels.ndim == 2:
        image.save(file, "WEBP", lossless=True)
    else:
        image.save(file, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def compact(svg: str) -> str:
    """A figure in fewer bytes: lengths to a hundredth of a point, images without enlargement.

    Its font is that of the page.
    """
    short = svg
    for found, written in SHORTER:
        short = found.sub(written, short)
    rounded = LENGTHS.sub(lambda found: f'{found[1]}="{NUMBER.sub(_rounded, found[2])}"', short)
    return _without_duplicates(EMBEDDED.sub(lambda found: _smaller(found[1]), rounded))


def _without_duplicates(svg: str) -> str:
    """A figure that holds each image once, and refers to it where it is drawn again."""
    counts = Counter(match["attributes"] + match["others"] for match in PLACED.finditer(svg))
    repeated = [image for image, count in counts.items() if count > 1]
    names = {image: f"picture_{place}" for place, image in enumerate(repeated)}
    drawn = set[str]()

    def placed(match: re.Match[str]) -> str:
        image, transform = match["attributes"] + match["others"], match["transform"]
        if image not in names:
            return match[0]
        name = names[image]
        if image in drawn:
            return f'<use xlink:href="#{name}" transform="{transform}"/>'
        drawn.add(image)
        return f'<g transform="{transform}"><image id="{name}" {image}/></g>'

    return PLACED.sub(placed, svg)


def with_classes(svg: str, prefix: str) -> str:
    """A figure whose repeated styles are written once, as classes that begin with prefix."""
    counts = Counter(match["style"] for match in STYLED.finditer(svg))
    shared = [style for style, count in counts.items() if count > FEW]
    names = {style: f"{prefix}-{place}" for place, style in enumerate(shared)}

    def named(match: re.Match[str]) -> str:
        name = names.get(match["style"])
        return match[0] if name is None else f'<{match["head"]} class="{name}"'

    rules = "".join(f".{name}{{{style}}}" for style, name in names.items())
    head, end, body = svg.partition(">")
    return f"{head}{end}<style>{rules}</style>{STYLED.sub(named, body)}" if rules else svg


def _rounded(number: re.Match[str]) -> str:
    text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _smaller(encoded: str) -> str:
    """An image of a figure, whose pixels were repeated for viewers that blur small images."""
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    if image.mode == "RGBA" and np.asarray(image)[..., 3].min() < 255:
        return f"data:image/png;base64,{encoded}"
    pixels = np.asarray(image.convert("RGB"))
    step = next(step for step in range(min(pixels.shape[:2]), 0, -1) if _repeats(pixels, step))
    pixels = pixels[::step, ::step]
    is_grey = bool((pixels == pixels[..., :1]).all())
    return data_uri(pixels[..., 0] if is_grey else pixels)


def _repeats(pixels: NDArray[Any], step: int) -> bool:
    """Whether an image consists of squares of one colour, step pixels wide."""
    height, width = pixels.shape[:2]
    if height % step or width % step:
        return False
    small = pixels[::step, ::step]
    return bool((small.repeat(step, 0).repeat(step, 1) == pixels).all())
