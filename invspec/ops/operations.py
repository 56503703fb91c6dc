"""Counts of arithmetic operations, which are the same on every machine."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from invspec.ops.modules import device_of
from invspec.ops.proxy import ModelProxy


def forward_operations(net: nn.Module, x: Tensor) -> int:
    """Operations of a forward pass on one image x (1, C, H, W): additions and multiplications.

    Those of convolutions and matrix products; the others are few beside them, and not counted.

    >>> forward_operations(nn.Sequential(nn.Flatten(), nn.Linear(6, 2)), torch.zeros(1, 1, 2, 3))
    24
    """
    inner, image = _bare(net), x.to(device_of(net))
    with torch.no_grad():
        return _counted(lambda: inner(image))


def backward_operations(net: nn.Module, x: Tensor) -> int:
    """Operations of the backward pass to one image x (1, C, H, W), with frozen weights.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2)).requires_grad_(False)
    >>> backward_operations(net, torch.zeros(1, 1, 2, 3))
    24
    """
    inner, image = _bare(net), x.to(device_of(net)).detach().requires_grad_()
    with torch.enable_grad():
        total = inner(image).sum()
        return _counted(lambda: torch.autograd.grad(total, image))


def _bare(net: nn.Module) -> nn.Module:
    """The net behind proxies, which may pad batches or replay passes."""
    while isinstance(net, ModelProxy):
        net = net.net
    return net


def _counted(compute: Callable[[], object]) -> int:
    # imports triton, which takes a tenth of a second
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops()
