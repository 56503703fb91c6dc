"""Common corruptions by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.random import RandomState

from invspec.corruptions import blur, digital, noise, weather
from invspec.corruptions.images import Image, to_bytes
from invspec.corruptions.severities import TABLES, Benchmark, Corruption

# of an image, the parameter of its severity, and draws; frost needs photographs, too
FUNCTIONS: Mapping[Corruption, Callable[[Image, Any, RandomState], Image]] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "saturate": digital.saturate,
}


def corrupted(
    image: Image,
    corruption: Corruption,
    severity: int,
    benchmark: Benchmark,
    seed: int,
    photographs: tuple[Image, ...] = (),
) -> Image:
    """An image (H, W, C) in [0, 1] corrupted at severity 1 to 5, its pixels cut to bytes.

    seed: that of all draws, at most 32 bits. photographs: those of frost, (H', W', C).
    """
    # numpy promises that the numbers of a RandomState never change
    draws = RandomState(seed)
    parameter = TABLES[benchmark][corruption][severity - 1]
    if corruption == "frost":
        photograph = photographs[draws.randint(len(photographs))]
        changed = weather.frost(image, parameter, draws, photograph)
    else:
        changed = FUNCTIONS[corruption](image, parameter, draws)
    return to_bytes(changed) / np.float64(255)
