"""The interval of a share."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share of n independent examples (Wilson 1927, no continuity correction).

    >>> tuple(round(end, 4) for end in wilson(0.0, 10))
    (0.0, 0.2775)
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    below, above = ((centre + side * half) / (1 + z**2 / n) for side in (-1, 1))
    return max(0.0, min(below, share)), min(1.0, max(above, share))
