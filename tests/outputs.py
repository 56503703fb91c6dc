"""Outputs, shapes and symmetries of nets, for their tests."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def outputs(net: nn.Module, x: Tensor, *kinds: type[nn.Module]) -> list[Tensor]:
    """The output of every layer of these kinds for x, in the order in which they run."""
    seen: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, out: seen.append(out))
        for layer in net.modules()
        if isinstance(layer, kinds)
    ]
    net(x)
    for hook in hooks:
        hook.remove()
    return seen


def shapes(net: nn.Module, x: Tensor, *kinds: type[nn.Module]) -> list[tuple[int, ...]]:
    """The shapes of these outputs, without the batch."""
    return [tuple(out.shape[1:]) for out in outputs(net, x, *kinds)]


def parameters(net: nn.Module) -> int:
    """Number of parameters."""
    return sum(weight.numel() for weight in net.parameters())


def turned(x: Tensor, quarters: int) -> Tensor:
    """Images (..., H, W) after some quarter-turns."""
    return x.rot90(quarters, (-2, -1))


def acted(fields: Tensor, quarters: int) -> Tensor:
    """Fields over c4 (B, C * 4, H, W) after quarter-turns: maps turn, group elements shift."""
    return turned(fields, quarters).unflatten(1, (-1, 4)).roll(quarters, dims=2).flatten(1, 2)


@torch.no_grad()
def change(net: nn.Module, x: Tensor, quarters: int) -> float:
    """Largest change of a logit under quarter-turns, relative to the spread of the logits."""
    return ((net(turned(x, quarters)) - net(x)).abs().max() / net(x).std()).item()


def lived(net: nn.Module, x: Tensor) -> nn.Module:
    """The net in eval mode, after some batches in train mode and small changes of all weights."""
    torch.manual_seed(1)
    with torch.no_grad():
        for _ in range(3):
            net.train()(x + 0.1 * torch.randn_like(x))
        for weight in net.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    return net.eval()


def fresh(model: Any, shape: tuple[int, int, int], classes: int = 10) -> nn.Module:
    """The model's net with seed 0."""
    torch.manual_seed(0)
    return model.build(shape, classes)
