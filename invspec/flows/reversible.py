"""Runs of invertible layers whose backward pass needs the memory of one layer only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from invspec.errors import InvspecError
from invspec.flows.invertible import Invertible, WithLogDet, zero_log_det

Grads = tuple[Tensor | None, ...]

Memory = Literal["stored", "reversible"]

MemoryField = Annotated[
    Memory,
    Field(
        description="activations for the backward pass: stored, or reversible, which recomputes "
        "them"
    ),
]

# Precisions that are exact enough to invert a deep net.
EXACT_ENOUGH = (torch.float32, torch.float64)

# Largest error of the reconstructed input, relative to its size, without and with autocast.
MAX_ERROR, MAX_ERROR_UNDER_AUTOCAST = 1e-2, 1e-1

# Lower bound of the input's root mean square, for inputs that are nearly 0.
MIN_RMS = 1e-3


class Run(Invertible):
    """Invertible layers one after another.

    With memory reversible, only the input and the last output are kept for the backward pass. It
    inverts and recomputes one layer after another, at the price of one more forward pass.

    The gradients equal those of a stored run as closely as inversion recovers the input: up to
    rounding in usual nets, to two or three digits under autocast to bfloat16, which leaves the
    main path in float32 but rounds the networks inside couplings. Layers that stretch some
    directions far more than others lose accuracy; the input is kept to detect that. There are no
    second derivatives. Images in bfloat16 are stored instead, because inversion is not exact enough
    in that precision.

    Raises: InvspecError in the backward pass if the reconstructed input is wrong by more than a
    hundredth, or a tenth under autocast.
    """

    def __init__(self, layers: Sequence[Invertible], memory: Memory = "stored") -> None:
        super().__init__()
        self.layers, self.memory = nn.ModuleList(layers), memory

    def forward(self, x: Tensor) -> WithLogDet:
        invertible = x.dtype in EXACT_ENOUGH and not x.is_meta
        if self.memory == "stored" or not invertible or not torch.is_grad_enabled():
            return _through(self.layers, x)
        weights = [weight for weight in self.parameters() if weight.requires_grad]
        return _Reversible.apply(self.layers, x, *weights)  # pyright: ignore[reportReturnType]

    def inverse(self, y: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            y = layer.inverse(y)  # pyright: ignore[reportCallIssue]
        return y


def _through(layers: nn.ModuleList, x: Tensor) -> WithLogDet:
    total = zero_log_det(x)
    for layer in layers:
        x, log_det = layer(x)
        total = total + log_det
    return x, total


class _Reversible(torch.autograd.Function):
    """y, log_det = layers(x). The weights are arguments so that autograd gives them gradients.

    The backward pass enters the autocast state of the forward pass, but without its cache of cast
    weights: the forward pass would fill it with casts that have no graph.
    """

    @staticmethod
    def forward(ctx: Any, layers: nn.ModuleList, x: Tensor, *weights: Tensor) -> WithLogDet:
        device = x.device.type
        ctx.layers, ctx.weights, ctx.autocast = layers, weights, _autocast_of(device)
        autocast = torch.is_autocast_enabled(device)
        ctx.max_error = MAX_ERROR_UNDER_AUTOCAST if autocast else MAX_ERROR
        with ctx.autocast():
            y, log_det = _through(layers, x)
        ctx.save_for_backward(x, y)
        return y, log_det

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> Grads:  # pyright: ignore[reportIncompatibleMethodOverride]  # positions only, once decorated
        (x, output), (grad, grad_log_det) = ctx.saved_tensors, grad_outputs
        restored, grads = output, dict[nn.Parameter, Tensor]()
        for layer in reversed(ctx.layers):
            restored, grad, layer_grads = _undo(layer, restored, grad, grad_log_det, ctx.autocast)
            # layers may share a weight
            for weight, weight_grad in layer_grads.items():
                grads[weight] = grads[weight] + weight_grad if weight in grads else weight_grad
        # `not <=` is also true of NaN. If the output is not finite, the training has diverged, and
        # the loss says so.
        error = _relative_error(restored, x)
        if not error <= ctx.max_error and output.isfinite().all():
            raise InvspecError(
                f"inverting the layers gives an input that is wrong by {error:.1g} of its size, "
                f"expected at most {ctx.max_error:g}: the gradients would be wrong",
                hint="set memory: stored, or train with a smaller learning rate",
            )
        return None, grad, *(grads.get(weight) for weight in ctx.weights)


def _relative_error(restored: Tensor, x: Tensor) -> float:
    """Distance of the restored input from the true one x, relative to the size of x."""
    return (_rms(restored - x) / _rms(x).clamp_min(MIN_RMS)).item()


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()


def _autocast_of(device: str) -> Callable[[], torch.autocast]:
    """A factory of contexts with the current state of autocast, without its cache."""
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    return partial(torch.autocast, device, dtype, enabled, cache_enabled=False)


def _undo(
    layer: Invertible,
    y: Tensor,
    grad: Tensor,
    grad_log_det: Tensor,
    autocast: Callable[[], torch.autocast],
) -> tuple[Tensor, Tensor, dict[nn.Parameter, Tensor]]:
    """The layer's input, the gradient for it, and the gradients for the layer's weights."""
    weights = [weight for weight in layer.parameters() if weight.requires_grad]
    with torch.enable_grad(), autocast():
        parts, outputs = layer.replay(y)
    # An output that depends on neither input nor weights, as a constant log_det, has no graph.
    pairs = zip(outputs, (grad, grad_log_det), strict=True)
    roots, seeds = zip(*(pair for pair in pairs if pair[0].requires_grad), strict=True)
    grads = cast(Grads, torch.autograd.grad(roots, (*parts, *weights), seeds, allow_unused=True))
    part_grads = [
        torch.zeros_like(part) if part_grad is None else part_grad
        for part, part_grad in zip(parts, grads, strict=False)
    ]
    weight_grads = {
        weight: weight_grad
        for weight, weight_grad in zip(weights, grads[len(parts) :], strict=True)
        if weight_grad is not None
    }
    return torch.cat(parts, dim=1).detach(), torch.cat(part_grads, dim=1), weight_grads
