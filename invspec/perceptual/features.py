"""Embeddings of feature maps, and a model's own features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from invspec.errors import InvspecError
from invspec.memory import observed

# Names of torch's activation functions; in-place ones also end in an underscore.
ACTIVATIONS = frozenset(
    (
        *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "hardtanh", "hardswish"),
        *("elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "tanh"),
    )
)


def embedded(maps: Sequence[Tensor], weights: Sequence[Tensor] | None = None) -> Tensor:
    """The maps (B, C, ...) of several layers as one vector (B, D) per image.

    The LPIPS distance is the length of the difference of two such vectors. At every position the
    channels are scaled to unit length and, if weights (C,) are given, weighted; each map is divided
    by the square root of its number of positions. Two vectors without weights are at most
    2 sqrt(layers) apart.
    """
    parts: list[Tensor] = []
    for layer, features in enumerate(maps):
        # 1e-10 keeps the quotient finite where all channels are 0, as in LPIPS.
        unit = features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + 1e-10)
        if weights is not None:
            # the root, because LPIPS weights squared differences
            unit = unit * weights[layer].sqrt().view(-1, *[1] * (features.ndim - 2))
        parts.append(unit.flatten(1) / features[0, 0].numel() ** 0.5)
    return torch.cat(parts, dim=1)


def own_features(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The logits (B, K) of one pass through the model, and its embedded features (B, D).

    The features are the outputs of the layers that its modules list as feature_layers. If none
    does, they are the last map of each shape after an activation function, whether a module or a
    function call: for a VGG net, relu1_2 to relu5_3; for a residual net, the output of each stage;
    for pre-activation blocks, whose outputs pass no activation, the last map inside the stage's
    last block. A net without maps is compared by its flat activations (B, D).

    The model may be a wrapper that pads the batch after the examples of x. Its mode, weights and
    hooks are left alone.

    Raises: InvspecError if the model has no activations, such as a linear model.
    """
    return observed(lambda images: _own_features(model, images), model, x)


def _own_features(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    layers = [
        layer for module in model.modules() for layer in getattr(module, "feature_layers", ())
    ]
    if layers:
        logits, maps = _outputs_of(model, x, list(dict.fromkeys(layers)))
    else:
        with _Activations() as activations:
            logits = model(x)
        maps = _last_of_each_shape(activations.outputs)
    if not maps:
        raise InvspecError(
            "the model has no activations to compare",
            hint="use a distance other than laidlaw_self",
        )
    return logits, embedded([features[: len(x)].to(logits.dtype) for features in maps])


class _Activations(TorchFunctionMode):
    """Collects the outputs of activation functions, whether called by a module or not."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "").rstrip("_") in ACTIVATIONS:
            self.outputs.append(output)
        return output


def _last_of_each_shape(activations: Sequence[Tensor]) -> list[Tensor]:
    """The last map (B, C, H, W) of each shape; without maps, the last vector (B, D) of each."""
    maps = [output for output in activations if output.ndim >= 4]
    vectors = [output for output in activations if output.ndim == 2]
    # a later output of the same shape replaces an earlier one
    return list({output.shape[1:]: output for output in maps or vectors}.values())


def _outputs_of(
    model: nn.Module, x: Tensor, layers: Sequence[nn.Module]
) -> tuple[Tensor, list[Tensor]]:
    """The logits, and the output of each of these layers."""
    outputs: list[Tensor] = []

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.append(output)

    handles = [layer.register_forward_hook(record) for layer in layers]
    try:
        return model(x), outputs
    finally:
        for handle in handles:
            handle.remove()
