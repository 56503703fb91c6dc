"""Layers as after some training, and inputs for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

SHAPE = (4, 4, 4)


def learnt(layer: nn.Module) -> Any:
    """The layer as after some training: all weights moved, in eval mode, in float64."""
    with torch.no_grad():
        for weight in layer.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return layer.double().eval()


def random_maps(*shape: int) -> Tensor:
    return torch.randn(3, *(shape or SHAPE), dtype=torch.float64)
