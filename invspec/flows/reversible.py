"""Runs of invertible layers whose backward pass needs no more memory than one layer's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from invspec.errors import InvspecError
from invspec.flows.invertible import Invertible, WithLogDet, unchanged

Grads = tuple[Tensor | None, ...]


Memory = Literal["stored", "reversible"]


EXACT_ENOUGH = (torch.float32, torch.float64)  # to undo a deep net in


MOST_LOST, UNDER_AUTOCAST = (
    1e-2,
    1e-1,
)  # of the size of a run's input, beyond which what undoing returned is refused


LEAST_SIZE = 1e-3  # what an input that is nearly all 0 counts as


class Run(Invertible):
    """Invertible layers one after another.

    memory reversible: only the input and the last output are kept for the backward pass, which undoes layer after layer
    and computes each anew, for the price of one more forward pass. Gradients are those of the stored run as exactly as
    undoing returns the input, which layers that stretch some directions far more than others take away: up to rounding
    in a usual net, to two or three digits under autocast to bfloat16, which leaves the backbone in float32 and rounds what
    couplings find. The input is kept to see that. There are no second gradients. Images in bfloat16 are stored, since
    undoing is not exact enough there.

    Raises: InvspecError in the backward pass where undoing has lost a hundredth of the input; under autocast, a tenth.
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
        ctx.most_lost = UNDER_AUTOCAST if torch.is_autocast_enabled(x.device.type) else MOST_LOST
        with ctx.autocast():
            y, log_det = _through(layers, x)
        ctx.save_for_backward(x, y)
        return y, log_det

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> Grads:  # pyright: ignore[reportIncompatibleMethodOverride]  # positions only, once decorated
        (x, output), (grad, grad_log_det) = ctx.saved_tensors, grad_outputs
        undone, found = output, dict[nn.Parameter, Tensor]()
        for layer in reversed(ctx.layers):
            undone, grad, of_weights = _undone(layer, undone, grad, grad_log_det, ctx.autocast)
            for weight, each in of_weights.items():
                found[weight] = found[weight] + each if weight in found else each
        if (
            not (lost := _lost(undone, x)) <= ctx.most_lost and output.isfinite().all()
        ):  # else it has diverged
            message = f"undoing layers lost {lost:.1g} of their input's size: gradients there would be wrong"
            raise InvspecError(message, hint="say memory: stored, or train the net more gently")
        return None, grad, *(found.get(weight) for weight in ctx.weights)


def _lost(undone: Tensor, x: Tensor) -> float:
    """How far what undoing returned is from a run's input x, relative to its size."""
    return (_rms(undone - x) / _rms(x).clamp_min(LEAST_SIZE)).item()


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()


def _autocast_of(device: str) -> Callable[[], torch.autocast]:
    """What enters the present state of autocast again, but for its cache."""
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    return partial(torch.autocast, device, dtype, enabled, cache_enabled=False)


def _undone(
    layer: Invertible,
    y: Tensor,
    grad: Tensor,
    grad_log_det: Tensor,
    autocast: Callable[[], torch.autocast],
) -> tuple[Tensor, Tensor, dict[nn.Parameter, Tensor]]:
    """The layer's input, the gradient for it, and those for the layer's weights."""
    weights = [weight for weight in layer.parameters() if weight.requires_grad]
    with torch.enable_grad(), autocast():
        parts, outputs = layer.replay(y)
    dependent = [
        pair for pair in zip(outputs, (grad, grad_log_det), strict=True) if pair[0].requires_grad
    ]
    of, beside = zip(*dependent, strict=True)
    grads = cast(Grads, torch.autograd.grad(of, (*parts, *weights), beside, allow_unused=True))
    of_parts = [
        torch.zeros_like(x) if each is None else each for x, each in zip(parts, grads, strict=False)
    ]
    named = zip(weights, grads[len(parts) :], strict=True)
    of_weights = {weight: each for weight, each in named if each is not None}
    return torch.cat(parts, dim=1).detach(), torch.cat(of_parts, dim=1), of_weights
