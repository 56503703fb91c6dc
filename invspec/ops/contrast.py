"""The distribution of Theorem 1 and its one linear feature."""

from __future__ import annotations

import torch
from torch import Tensor

# Mean of the Gaussian coordinates, in units of 1 / sqrt(d).
MEAN = 3.0


def signed(y: Tensor) -> Tensor:
    """Labels in the theorem's notation: 1.0 for label 1, -1.0 for any other; (B,) to (B,)."""
    return 2 * (y == 1).float() - 1


def contrast(length: int) -> Tensor:
    """The feature's weights (length,): 0 for coordinate 0, then 1 and -1 for each pair.

    If the last coordinate has no partner, its weight is 0.

    >>> contrast(5), contrast(4)
    (tensor([ 0.,  1., -1.,  1., -1.]), tensor([ 0.,  1., -1.,  0.]))
    """
    pairs = torch.tensor([1.0, -1.0]).repeat((length - 1) // 2)
    return torch.cat([torch.zeros(1), pairs, torch.zeros(length - 1 - len(pairs))])
