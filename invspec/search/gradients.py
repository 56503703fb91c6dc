"""Logits and input gradients, without touching the weights' `.grad`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def logits_and_gradient(
    model: nn.Module, objective: Objective, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits (B, K) and the gradient (B, C, H, W) of each example's own objective, in one pass each way."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(leaf)
        total = objective(logits, y).sum()
    return logits.detach(), torch.autograd.grad(total, leaf)[0]


@torch.no_grad()
def logits_of(model: nn.Module, x: Tensor) -> Tensor:
    """Logits (B, K) without a graph."""
    return model(x)


def input_gradient(
    model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor
) -> Tensor:
    """Gradient (B, C, H, W) of each example's own loss; the weights' .grad stays as it is."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        total = loss(
            model(leaf), y
        ).sum()  # a mean would scale an example's gradient by the size of its batch
    return torch.autograd.grad(total, leaf)[0]


Objective = Callable[[Tensor, Tensor], Tensor]  # logits (B, K) and y (B,) to what is climbed, (B,)
