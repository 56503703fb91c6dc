"""Weather: snow, frost, fog and brightness. Images (H, W, C) in [0, 1], results not clipped."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from invspec.corruptions.blur import moved
from invspec.corruptions.images import Image, gray, to_bytes, zoomed

# degrees; snow falls
FALL = (-135, -45)


def snow(image: Image, flakes: tuple[float, ...], draws: RandomState) -> Image:
    """Whiten the image, and add flakes that move down, and the same ones turned by 180 degrees."""
    mean, deviation, factor, threshold, radius, length, contrast = flakes
    layer = draws.normal(mean, deviation, size=image.shape[:2])[..., None]
    layer = zoomed(layer, factor)
    layer = to_bytes(np.where(layer < threshold, 0, layer)) / 255
    layer = to_bytes(moved(layer, (radius, length), float(draws.uniform(*FALL)))) / 255
    whitened = np.maximum(image, gray(image) * 1.5 + 0.5)
    return contrast * image + (1 - contrast) * whitened + layer + layer[::-1, ::-1]


def frost(
    image: Image, weights: tuple[float, float], draws: RandomState, photograph: Image
) -> Image:
    """Add a random part of a photograph (H', W', C) of frost, which is larger than the image."""
    height, width = image.shape[:2]
    row = draws.randint(photograph.shape[0] - height)
    column = draws.randint(photograph.shape[1] - width)
    part = photograph[row : row + height, column : column + width]
    return weights[0] * image + weights[1] * part


def fog(image: Image, thickness: tuple[float, float], draws: RandomState) -> Image:
    """Add a fractal, and scale the sum to the brightest pixel of the image."""
    weight, decay = thickness
    height, width = image.shape[:2]
    most = image.max()
    mist = plasma(max(height, width), decay, draws)[:height, :width, None]
    return (image + weight * mist) * most / (most + weight)


def plasma(side: int, decay: float, draws: RandomState) -> NDArray[np.float64]:
    """A fractal in [0, 1] by the diamond-square algorithm, on a torus.

    Its sides are the least power of two that is at least `side`. New points are the mean of their
    four neighbours plus uniform noise, whose width falls by decay squared from one grid to the
    next: the released code multiplies two factors that both decay.
    """
    side = 2 ** int(np.ceil(np.log2(side)))
    heights, step, noise = np.zeros((side, side)), side, 1.0

    def means(*neighbours: NDArray[np.float64]) -> NDArray[np.float64]:
        total = sum(neighbours, start=np.zeros_like(neighbours[0]))
        return total / 4 + draws.uniform(-noise, noise, size=total.shape)

    while step > 1:
        half = step // 2
        corners = heights[::step, ::step]
        below = np.roll(corners, -1, 0)
        centres = means(corners, below, np.roll(corners, -1, 1), np.roll(below, -1, 1))
        heights[half::step, half::step] = centres
        heights[::step, half::step] = means(
            corners, np.roll(corners, -1, 1), centres, np.roll(centres, 1, 0)
        )
        heights[half::step, ::step] = means(corners, below, centres, np.roll(centres, 1, 1))
        step, noise = half, noise / decay**2
    heights -= heights.min()
    return heights / heights.max()


def brightness(image: Image, added: float, draws: RandomState) -> Image:
    """Raise the value of HSV, the largest channel, at the same hue and saturation."""
    value = image.max(axis=-1, keepdims=True)
    raised = np.clip(value + added, 0, 1)
    return np.where(value > 0, image * raised / np.where(value > 0, value, 1), raised)
