"""Small types that the whole package shares. Does not import torch."""

from __future__ import annotations

import math
from typing import Literal

Norm = Literal["linf", "l2", "l1"]


Shape = tuple[int, int, int]


Bounds = tuple[float, float]


# the least and largest value that a mean can have
Range = tuple[float, float]


REALS: Range = (-math.inf, math.inf)


SHARES: Range = (0.0, 1.0)


# a share minus another one
SHARE_DIFFERENCES: Range = (-1.0, 1.0)


# non-negative values, such as lengths
MAGNITUDES: Range = (0.0, math.inf)
