"""Models in double precision, for results that rounding to float32 would spoil."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

Net = TypeVar("Net", bound=nn.Module)


def in_double(model: Net) -> Net:
    """A float64 copy of the model, in the same mode and on the same device, with frozen weights.

    The copy takes and returns float64. The model itself does not change.

    >>> in_double(nn.Linear(2, 3)).weight.dtype
    torch.float64
    """
    return copy.deepcopy(model).double().requires_grad_(False)
