"""Invertible layers: each maps x to (y, log_det), and `inverse` maps y back to x.

log_det (B,) is the log of the Jacobian's absolute determinant in nats, in float32 or better. The
main path stays in the precision of the images even under autocast: only the networks inside
couplings, which are never inverted, then compute in bfloat16.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

WithLogDet = tuple[Tensor, Tensor]


class Invertible(nn.Module):
    """A bijection x -> (y, log_det (B,))."""

    @abstractmethod
    def forward(self, x: Tensor) -> WithLogDet: ...

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor: ...

    def replay(self, y: Tensor) -> tuple[tuple[Tensor, ...], WithLogDet]:
        """Recompute x from y, and the output from x, with a graph between them.

        Returns the parts of x in the order of their channels, each a leaf of the graph, and the
        output. A layer may override this to save a pass through its network.
        """
        with torch.no_grad():
            x = self.inverse(y)
        x.requires_grad_()
        return (x,), self(x)


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """The first and second half of the channels; an odd channel goes to the second half."""
    middle = x.shape[1] // 2
    return x[:, :middle], x[:, middle:]


def zero_log_det(x: Tensor) -> Tensor:
    """The log-determinant (B,) of a map that preserves volume."""
    return torch.zeros(len(x), dtype=at_least_float32(x), device=x.device)


def at_least_float32(x: Tensor) -> torch.dtype:
    """The precision of log-determinants that belong to x."""
    return torch.promote_types(x.dtype, torch.float32)


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Disable autocast on the device of x."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)
