"""The discrete cosine transform."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache
def dct_matrix(n: int) -> Tensor:
    """Orthonormal DCT-II, (n, n) float64 on the CPU. Row k is the k-th cosine; row 0 is constant.

    >>> dct_matrix(2)
    tensor([[ 0.7071,  0.7071],
            [ 0.7071, -0.7071]], dtype=torch.float64)
    """
    # the device is given because the cache outlives contexts such as torch.device("meta")
    place = torch.arange(n, dtype=torch.float64, device="cpu")
    matrix = torch.cos(math.pi / n * (place + 0.5) * place[:, None]) * math.sqrt(2 / n)
    matrix[0] = 1 / math.sqrt(n)
    return matrix
