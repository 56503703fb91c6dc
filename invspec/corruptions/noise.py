"""Noise: Gaussian, shot, impulse and speckle. Images (H, W, C) in [0, 1], results not clipped."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from invspec.corruptions.images import Image


def gaussian_noise(image: Image, deviation: float, draws: RandomState) -> Image:
    """Add normal noise, as in low light."""
    return image + draws.normal(scale=deviation, size=image.shape)


def shot_noise(image: Image, photons: float, draws: RandomState) -> Image:
    """Count photons: a Poisson draw whose mean is the pixel times their number at intensity 1."""
    return draws.poisson(image * photons) / photons


def impulse_noise(image: Image, share: float, draws: RandomState) -> Image:
    """Replace a share of all values by 0 or 1, with equal chances: salt and pepper."""
    is_replaced = draws.uniform(size=image.shape) < share
    is_salt = draws.uniform(size=image.shape) < 0.5
    return np.where(is_replaced, is_salt, image)


def speckle_noise(image: Image, deviation: float, draws: RandomState) -> Image:
    """Add normal noise in proportion to the pixel."""
    return image + image * draws.normal(scale=deviation, size=image.shape)
