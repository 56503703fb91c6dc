"""Runs of invertible layers whose backward pass needs no more memory than one layer's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from invspec.models.invertible import Invertible, WithLogDet, unchanged

Grads = tuple[Tensor | None, ...]
Memory = Literal["stored", "reversible"]
EXACT_ENOUGH = (torch.float32, torch.float64)  # to undo a deep net in


class Run(Invertible):
    """Invertible layers one after another.

    memory reversible: only the last output is kept for the backward pass, which undoes layer after layer and computes
    each anew, for the price of one more forward pass. Gradients are those of the stored run up to rounding, and there
    are no second ones. Images in bfloat16 are kept all the same, since undoing is not exact enough there; under
    autocast the trunk is float32, and is undone.
    """

    def __init__(self, layers: Sequence[Invertible], memory: Memory = "stored") -> None:
        super().__init__()
        self.layers, self.memory = nn.ModuleList(layers), memory

    def forward(self, x: Tensor) -> WithLogDet:
        undoable = x.dtype in EXACT_ENOUGH and not x.is_meta
        if self.memory == "stored" or not undoable or not torch.is_grad_enabled():
            return _through(self.layers, x)
        weights = [weight for weight in self.parameters() if weight.requires_grad]
        return _Reversible.apply(self.layers, x, *weights)  # pyright: ignore[reportReturnType]

    def inverse(self, y: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            y = layer.inverse(y)  # pyright: ignore[reportCallIssue]
        return y


def _through(layers: nn.ModuleList, x: Tensor) -> WithLogDet:
    total = unchanged(x)
    for layer in layers:
        x, log_det = layer(x)
        total = total + log_det
    return x, total


class _Reversible(torch.autograd.Function):
    """y, log_det = layers(x), with gradients for x and for the weights, which are passed so that they can have one.

    Casts of weights are not kept from one pass to the next (autocast would keep those without a graph).
    """

    @staticmethod
    def forward(ctx: Any, layers: nn.ModuleList, x: Tensor, *weights: Tensor) -> WithLogDet:
        ctx.layers, ctx.weights, ctx.autocast = layers, weights, _autocast_of(x.device.type)
        with ctx.autocast():
            y, log_det = _through(layers, x)
        ctx.save_for_backward(y)
        return y, log_det

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> Grads:  # pyright: ignore[reportIncompatibleMethodOverride]  # positions only, once decorated
        (y,), (grad, grad_log_det) = ctx.saved_tensors, grad_outputs
        found: dict[nn.Parameter, Tensor] = {}
        for layer in reversed(ctx.layers):
            y, grad, of_weights = _undone(layer, y, grad, grad_log_det, ctx.autocast)
            for weight, each in of_weights.items():
                found[weight] = found[weight] + each if weight in found else each
        return None, grad, *(found.get(weight) for weight in ctx.weights)


def _autocast_of(device: str) -> Callable[[], torch.autocast]:
    """What enters the present state of autocast again, but for its cache."""
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    return partial(torch.autocast, device, dtype, enabled, cache_enabled=False)


def _undone(
    layer: Invertible, y: Tensor, grad: Tensor, grad_log_det: Tensor, autocast: Callable[[], torch.autocast]
) -> tuple[Tensor, Tensor, dict[nn.Parameter, Tensor]]:
    """The layer's input, the gradient for it, and those for the layer's weights."""
    weights = [weight for weight in layer.parameters() if weight.requires_grad]
    with torch.enable_grad(), autocast():
        parts, outputs = layer.replay(y)
    dependent = [pair for pair in zip(outputs, (grad, grad_log_det), strict=True) if pair[0].requires_grad]
    of, beside = zip(*dependent, strict=True)
    grads = cast(Grads, torch.autograd.grad(of, (*parts, *weights), beside, allow_unused=True))
    of_parts = [torch.zeros_like(x) if each is None else each for x, each in zip(parts, grads, strict=False)]
    named = zip(weights, grads[len(parts) :], strict=True)
    of_weights = {weight: each for weight, each in named if each is not None}
    return torch.cat(parts, dim=1).detach(), torch.cat(of_parts, dim=1), of_weights
