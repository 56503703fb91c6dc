"""What corruptions share: images as arrays, bytes and Pillow's images; zooming into the centre."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import ndimage

# (H, W, C) or, where colours are handled alike, (H, W); values of pixels in [0, 1]
Image = NDArray[np.floating[Any]]

# weights of red, green and blue in the luminance of ITU-R BT.601
LUMINANCE = np.array([0.299, 0.587, 0.114])


def to_bytes(image: Image) -> NDArray[np.uint8]:
    """Pixels as bytes, the fraction cut off, as the data sets were written."""
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def to_pillow(image: Image) -> PIL.Image.Image:
    """An image with one or three channels for Pillow, rounded to bytes."""
    content = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return PIL.Image.fromarray(content[..., 0] if content.shape[-1] == 1 else content)


def from_pillow(picture: PIL.Image.Image) -> Image:
    """An image of Pillow as an array (H, W, C)."""
    content = np.asarray(picture, dtype=np.float64) / 255
    return content[..., None] if content.ndim == 2 else content


def gray(image: Image) -> Image:
    """The luminance (H, W, 1) of an image; an image of one channel is its own."""
    return image if image.shape[-1] == 1 else (image @ LUMINANCE)[..., None]


def zoomed(image: Image, factor: float) -> Image:
    """The centre of an image (H, W, C), enlarged linearly to its size."""
    height, width = image.shape[:2]
    rows, columns = _centred(height, factor), _centred(width, factor)
    large: Image = np.asarray(ndimage.zoom(image[rows, columns], (factor, factor, 1), order=1))
    row, column = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[row : row + height, column : column + width]


def _centred(length: int, factor: float) -> slice:
    """The part of an axis that fills it when it is enlarged by the factor."""
    part = int(np.ceil(length / factor))
    start = (length - part) // 2
    return slice(start, start + part)
