"""Blur: Gaussian, defocus, glass, motion and zoom. Images (H, W, C) in [0, 1]."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy import ndimage

from invspec.corruptions.images import Image, to_bytes, zoomed

# degrees; motion of an image is about horizontal
ANGLES = (-45, 45)


def gaussian_blur(image: Image, deviation: float, draws: RandomState) -> Image:
    """Average with the weights of a normal distribution."""
    return smoothed(image, deviation)


def smoothed(image: Image, deviation: float) -> Image:
    """The image (H, W, C) convolved with a Gaussian of a standard deviation in pixels."""
    return ndimage.gaussian_filter(image, sigma=(deviation, deviation, 0), mode="nearest")


def defocus_blur(image: Image, lens: tuple[float, float], draws: RandomState) -> Image:
    """Average over a disk, which is smoothed."""
    kernel = disk(*lens)
    return ndimage.correlate(image, kernel[..., None], mode="mirror")


def disk(radius: float, deviation: float) -> NDArray[np.float64]:
    """The weights of a disk, smoothed by 3 x 3 pixels, or 5 x 5 for a radius above 8."""
    side, reach = (8, 1) if radius <= 8 else (int(radius), 2)
    x, y = np.meshgrid(*2 * [np.arange(-side, side + 1)])
    weights = (x**2 + y**2 <= radius**2).astype(np.float64)
    profile = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * deviation**2))
    profile /= profile.sum()
    for axis in (0, 1):
        weights = ndimage.correlate1d(weights, profile, axis=axis, mode="mirror")
    return weights / weights.sum()


def glass_blur(image: Image, glass: tuple[float, int, int], draws: RandomState) -> Image:
    """Smooth, move pixels about, smooth again.

    Each pixel, from the last to the first, takes the place of a random neighbour within the
    displacement, in several rounds.

    Deviates: the paper swaps pixels; the released code means to, but copies the neighbour, and so
    the published images show copies, which are followed here.
    """
    deviation, reach, rounds = glass
    height, width = image.shape[:2]
    smooth = to_bytes(smoothed(image, deviation)) / 255
    sources = [[(row, column) for column in range(width)] for row in range(height)]
    for _ in range(rounds):
        moves = draws.randint(-reach, reach, size=(height, width, 2)).tolist()
        for row in range(height - reach, reach, -1):
            for column in range(width - reach, reach, -1):
                right, down = moves[row][column]
                sources[row][column] = sources[row + down][column + right]
    rows, columns = np.moveaxis(np.array(sources), -1, 0)
    return smoothed(smooth[rows, columns], deviation)


def motion_blur(image: Image, motion: tuple[float, float], draws: RandomState) -> Image:
    """Average along a line at a random angle of up to 45 degrees."""
    return moved(image, motion, float(draws.uniform(*ANGLES)))


def moved(image: Image, motion: tuple[float, float], degrees: float) -> Image:
    """Average along a line to one side of each pixel, with the weights of half a Gaussian.

    motion: the radius, half of the line's length in pixels, and the standard deviation. The line
    goes to the right at 0 degrees and down at 90. Beyond the edge are the pixels of the edge.
    """
    radius, deviation = motion
    places = np.arange(2 * int(np.ceil(radius)) + 1)
    weights = np.exp(-(places**2) / (2 * deviation**2))
    angle = np.deg2rad(degrees)
    right, down = (np.ceil(places * part - 0.5) for part in (np.cos(angle), np.sin(angle)))
    height, width = image.shape[:2]
    total = np.zeros_like(image)
    for weight, x, y in zip(weights / weights.sum(), right, down, strict=True):
        rows = np.clip(np.arange(height) + int(y), 0, height - 1)
        columns = np.clip(np.arange(width) + int(x), 0, width - 1)
        total += weight * image[rows][:, columns]
    return total


def zoom_blur(image: Image, zoom: tuple[float, float], draws: RandomState) -> Image:
    """The mean of the image and of enlargements of its centre, by rising factors from 1."""
    factors = np.arange(1, *zoom)
    return (image + sum(zoomed(image, factor) for factor in factors)) / (len(factors) + 1)
