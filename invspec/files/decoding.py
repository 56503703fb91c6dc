"""Decoding image files as in tests of ImageNet nets: resize, then crop to the centre."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from invspec.errors import InvspecError, first_line

# PIL detects the format from the content, whatever the name's extension. Some of its other formats
# run external programs.
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")

# PIL's modes with more than 8 bits per channel; converting them to RGB would clip at 255.
HIGH_BIT_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")

# Largest ratio of the longer to the shorter side. A longer strip could fill the memory when its
# shorter side is resized.
MAX_RATIO = 100


def decoded(path: Path, size: int, resize: int) -> NDArray[np.uint8]:
    """The image of a file, (size, size, 3) RGB.

    Its shorter side is resized to `resize` pixels, bilinearly with antialiasing, as torchvision
    does with a PIL image; then the centre is cropped.

    Raises: InvspecError that names the file if it is not an image, is damaged, or has unusable
    pixels or an unusable shape.
    """
    image = _rgb(path)
    shorter = min(image.size)
    # truncated and rounded as torchvision does, so that its accuracies can be reproduced
    width, height = (
        resize if side == shorter else int(resize * side / shorter) for side in image.size
    )
    x, y = round((width - size) / 2), round((height - size) / 2)
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(scaled.crop((x, y, x + size, y + size)))


def _rgb(path: Path) -> Image.Image:
    """An image with 8 bits per channel, without transparency. Raises InvspecError as `decoded`."""
    try:
        with Image.open(path, formats=FORMATS) as file:
            _require_usable(file, path)
            file.load()
            # PIL would warn that the transparency of a palette is lost.
            file.info.pop("transparency", None)
            return file.convert("RGB")
    except InvspecError:
        raise
    # Damaged bytes can raise anything, depending on the step that meets them.
    except Exception as problem:
        raise InvspecError(
            f"{path} cannot be read as an image: {first_line(problem)}",
            hint="fetch it again, or remove it",
        ) from None


def _require_usable(image: Image.Image, path: Path) -> None:
    """Raise InvspecError if converting to RGB would clip pixels, or if the image is a strip."""
    if image.mode in HIGH_BIT_MODES:
        raise InvspecError(
            f"{path} has pixels of mode {image.mode}, expected 8 bits per channel",
            hint="convert it to 8 bits per channel with the scale that you intend",
        )
    if max(image.size) > MAX_RATIO * min(image.size):
        width, height = image.size
        raise InvspecError(
            f"{path} is {width}x{height}, expected at most {MAX_RATIO} times as long as wide",
            hint="crop it, or remove it",
        )
