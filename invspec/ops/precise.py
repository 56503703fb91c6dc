"""Nets in double precision, for what rounding to float32 would spoil."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

Net = TypeVar("Net", bound=nn.Module)


def in_double(model: Net) -> Net:
    """A copy of the model, in the same mode, whose weights and buffers are float64 and which no training touches.

    It takes and gives float64, and stands where the model stands. The model itself stays as it is.

    >>> in_double(nn.Linear(2, 3)).weight.dtype
    torch.float64
    """
    return copy.deepcopy(model).double().requires_grad_(False)
