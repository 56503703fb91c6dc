"""Layers as after some training, and inputs for them."""

from __future__ import annotations

from collections.abc import Callable
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
    """Three maps of this shape, or of SHAPE."""
    return torch.randn(3, *(shape or SHAPE), dtype=torch.float64)


def true_log_det(layer: Callable[[Tensor], tuple[Tensor, Any]], x: Tensor) -> Tensor:
    """log |det| of each example's Jacobian (B,), from autograd."""

    def flat(example: Tensor) -> Tensor:
        return layer(example[None])[0].flatten()

    log_dets: list[Tensor] = []
    for example in x:
        jacobian = torch.autograd.functional.jacobian(flat, example)
        square = jacobian.reshape(example.numel(), -1)
        log_dets.append(torch.linalg.slogdet(square).logabsdet)
    return torch.stack(log_dets)
