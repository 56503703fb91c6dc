"""Clamping with a gradient that leads back into the box."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from invspec.ops.types import Bounds


class _Clamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        # a descent moves against the gradient
        ctx.save_for_backward(x <= low, x >= high)
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        at_low, at_high = ctx.saved_tensors
        leaves = (at_low & (gradient > 0)) | (at_high & (gradient < 0))
        return gradient.masked_fill(leaves, 0), None, None


def clamped(x: Tensor, bounds: Bounds) -> Tensor:
    """x clamped to the bounds. At and beyond a bound, a descent moves x only inwards.

    torch's own clamp has no gradient there (an old one had one at a bound), so that what
    begins there stays there.

    >>> x = torch.tensor([0.0, 0.0, 2.0], requires_grad=True)
    >>> (clamped(x, (0, 1)) * torch.tensor([1.0, -1.0, 1.0])).sum().backward()
    >>> x.grad
    tensor([ 0., -1.,  1.])
    """
    return cast(Tensor, _Clamp.apply(x, *bounds))
