"""Small types that the whole package shares. Does not import torch."""

from __future__ import annotations

from typing import Literal

Norm = Literal["linf", "l2", "l1"]


Shape = tuple[int, int, int]


Bounds = tuple[float, float]
