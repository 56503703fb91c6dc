"""Statistics of numbers that are in doubt."""

from __future__ import annotations

import math

import numpy as np

from invspec.analysis.estimates import Estimate
from invspec.analysis.hulls import _shifted  # pyright: ignore[reportPrivateUsage]


def test_an_infinite_distance_in_doubt_may_be_0() -> None:
    """As the median of distances is where an attack broke fewer than half of the images."""
    infinite = Estimate(math.inf, np.full(4, math.inf), ends=(math.inf, math.inf))
    shifted = _shifted(infinite, -math.inf, (0.0, math.inf))
    assert (shifted.point, *shifted.interval()) == (0.0, 0.0, 0.0)
    assert not shifted.replicates.any()
