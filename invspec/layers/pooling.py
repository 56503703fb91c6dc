"""Pooling layers that torch does not have."""

from __future__ import annotations

from torch import Tensor, nn


class SpatialMax(nn.Module):
    """Maximum over all positions: (B, C, H, W) to (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((-2, -1))
