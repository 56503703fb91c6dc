"""Digital: contrast, saturation, elastic, pixelate and JPEG. Images (H, W, C) in [0, 1]."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy import ndimage

from invspec.corruptions.images import Image, from_pillow, to_pillow


def contrast(image: Image, factor: float, draws: RandomState) -> Image:
    """Scale the difference of each channel from its mean."""
    means = image.mean(axis=(0, 1), keepdims=True)
    return (image - means) * factor + means


def saturate(image: Image, change: tuple[float, float], draws: RandomState) -> Image:
    """Scale the saturation of HSV and add to it, at the same hue and value; grays count as red."""
    factor, added = change
    value = image.max(axis=-1, keepdims=True)
    spread = value - image.min(axis=-1, keepdims=True)
    # of the hue: 0 for the largest channel, 1 for the least
    red = np.broadcast_to(np.array([0.0, 1.0, 1.0]), image.shape)
    depth = np.where(spread > 0, (value - image) / np.where(spread > 0, spread, 1), red)
    saturation = spread / np.where(value > 0, value, 1)
    return value * (1 - np.clip(saturation * factor + added, 0, 1) * depth)


def elastic_transform(
    image: Image, stretch: tuple[float, float, float], draws: RandomState
) -> Image:
    """Map the image by a random affine map, then displace pixels by smoothed noise."""
    height, width = image.shape[:2]
    displacement, smoothness, corner = (min(height, width) * part for part in stretch)
    mapped = _affine(image, corner, draws)
    grid = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    shifted = [
        axis
        + displacement
        * ndimage.gaussian_filter(
            draws.uniform(-1, 1, size=(height, width)), smoothness, mode="reflect", truncate=3
        )
        for axis in grid
    ]
    return _sampled(mapped, shifted, "reflect")


def _affine(image: Image, reach: float, draws: RandomState) -> Image:
    """Move three corners of a square in the middle by up to `reach` pixels, and all with them."""
    height, width = image.shape[:2]
    third = min(height, width) // 3
    middle = np.array([height // 2, width // 2], dtype=np.float64)
    corners = middle + third * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = corners + draws.uniform(-reach, reach, size=corners.shape)
    # rows and columns of where a pixel comes from
    back = np.linalg.solve(np.column_stack([moved, np.ones(3)]), corners)
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    places = np.stack([rows, columns, np.ones_like(rows)], axis=-1) @ back
    return _sampled(image, [places[..., 0], places[..., 1]], "mirror")


def _sampled(image: Image, places: list[NDArray[np.floating]], mode: str) -> Image:
    """The image at places (H, W) of its rows and columns, interpolated linearly."""
    channels = np.moveaxis(image, -1, 0)
    sampled = [ndimage.map_coordinates(part, places, order=1, mode=mode) for part in channels]
    return np.stack(sampled, axis=-1)


def pixelate(image: Image, factor: float, draws: RandomState) -> Image:
    """Shrink the image by averages over boxes, and enlarge it again."""
    height, width = image.shape[:2]
    small = (max(int(width * factor), 1), max(int(height * factor), 1))
    picture = to_pillow(image).resize(small, PIL.Image.Resampling.BOX)
    return from_pillow(picture.resize((width, height), PIL.Image.Resampling.BOX))


def jpeg_compression(image: Image, quality: int, draws: RandomState) -> Image:
    """Compress the image as JPEG of a quality in percent."""
    content = io.BytesIO()
    to_pillow(image).save(content, "JPEG", quality=quality)
    with PIL.Image.open(content) as picture:
        return from_pillow(picture)
