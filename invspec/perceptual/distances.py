"""How far apart two images look: LPIPS, Laidlaw's variant of it, and distances of pixels.

LPIPS (Zhang et al. 2018) is squared and weighs every channel; Laidlaw's (2021) is neither, and so is a distance in the
strict sense. Their numbers are in different units: no threshold serves both, and a report says which one it used
(`describe`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from invspec.errors import InvspecError
from invspec.ops.norms import size
from invspec.perceptual.backbones import BackboneName, backbone, head_weights, own_files

Distance = Literal[
    "lpips_alex",
    "lpips_squeeze",
    "lpips_vgg",
    "laidlaw_alex",
    "laidlaw_alexnet_cifar",
    "laidlaw_self",
    "l2",
    "linf",
    "rmse",
    "ssim",
]


DISTANCES: tuple[Distance, ...] = get_args(Distance)


Embedding = Literal[
    "lpips_alex",
    "lpips_squeeze",
    "lpips_vgg",
    "laidlaw_alex",
    "laidlaw_alexnet_cifar",
    "laidlaw_self",
    "l2",
]  # those that are a length between features, or its square


_LABELS: dict[Distance, str] = {
    "lpips_alex": "LPIPS (AlexNet, squared, weighted)",
    "lpips_squeeze": "LPIPS (SqueezeNet, squared, weighted)",
    "lpips_vgg": "LPIPS (VGG16, squared, weighted)",
    "laidlaw_alex": "LPIPS after Laidlaw (ImageNet AlexNet, unsquared, unweighted)",
    "laidlaw_alexnet_cifar": "LPIPS after Laidlaw (CIFAR-10 AlexNet, unsquared, unweighted)",
    "laidlaw_self": "LPIPS after Laidlaw (the model's own features, unsquared, unweighted)",
    "l2": "l2 distance (pixels in [0, 1])",
    "linf": "l-infinity distance (pixels in [0, 1])",
    "rmse": "root mean square difference (pixels in [0, 1])",
    "ssim": "1 - SSIM (Gaussian window, deviation 1.5)",
}


Features = Callable[[Tensor], Tensor]


def describe(name: Distance) -> str:
    """What a report calls a distance: which net, squared or not, in which units.

    >>> describe("lpips_alex")
    'LPIPS (AlexNet, squared, weighted)'
    """
    return _LABELS[name]


def radius(name: Embedding, bound: float) -> float:
    """The length between features at which the distance of that name has the value bound.

    >>> radius("laidlaw_self", 0.25), radius("lpips_alex", 0.25)
    (0.25, 0.5)
    """
    return bound**0.5 if name.startswith("lpips_") else bound


def offline(name: Distance) -> Distance:
    """The same where no weights have to be at hand; else laidlaw_self, which needs none. For smoke runs."""
    return "laidlaw_self" if name.startswith(("lpips_", "laidlaw_alex")) else name


def weights_read(name: Distance) -> dict[str, str]:
    """SHA-256 of each file of the user's own weights behind a distance: what a method that measures by it `reads`.

    Raises: InvspecError where there is no such file.
    """
    return (
        own_files(cast(BackboneName, name.removeprefix("laidlaw_")))
        if name.startswith("laidlaw_")
        else {}
    )


@dataclass(frozen=True)
class ImageDistance:
    """A distance between images that is taken between their features.

    features takes images (B, C, H, W) to (B, ...), between takes two of these to (B,); both are differentiable.
    """

    features: Features
    between: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, x: Tensor, other: Tensor) -> Tensor:
        """The distance of each pair of images, (B, C, H, W) twice to (B,)."""
        return self.between(self.features(x), self.features(other))

    def around(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """The distance of other images from x, whose features are computed once and have no graph."""
        with torch.no_grad():
            reference = self.features(x)
        return lambda other: self.between(self.features(other), reference)


def distance(name: Distance, model: nn.Module | None = None) -> ImageDistance:
    """The distance of that name between images in [0, 1]; only laidlaw_self reads the model.

    Raises: InvspecError, when it is asked, where weights are missing or images do not fit.
    """
    if name.startswith("lpips_"):
        return ImageDistance(
            partial(_weighted, cast(BackboneName, name.removeprefix("lpips_"))), _squared
        )
    if name == "laidlaw_self":
        assert model is not None, "laidlaw_self compares the features of a model, and got none"
        return ImageDistance(lambda x: own_features(model, x)[1], _euclidean)
    if name.startswith("laidlaw_"):
        return ImageDistance(
            partial(_unweighted, cast(BackboneName, name.removeprefix("laidlaw_"))), _euclidean
        )
    return _PIXELS[name]


def _euclidean(features: Tensor, others: Tensor) -> Tensor:
    return size(features - others, "l2")


def _squared(features: Tensor, others: Tensor) -> Tensor:
    return (features - others).square().flatten(1).sum(1)


def embedded(maps: Sequence[Tensor], weights: Sequence[Tensor] | None = None) -> Tensor:
    """Maps (B, C, ...) of several layers as one vector each, (B, D): the differences of two have LPIPS as their length.

    At every position the channels are brought to unit length, and weighted where weights (C,) are given; each map is
    divided by the square root of its number of positions. Two vectors without weights are at most 2 sqrt(layers) apart.
    """
    parts: list[Tensor] = []
    for layer, each in enumerate(maps):
        unit = each / (torch.linalg.vector_norm(each, dim=1, keepdim=True) + 1e-10)
        if weights is not None:
            unit = unit * weights[layer].sqrt().view(-1, *[1] * (each.ndim - 2))
        parts.append(unit.flatten(1) / each[0, 0].numel() ** 0.5)
    return torch.cat(parts, dim=1)


def _weighted(name: BackboneName, x: Tensor) -> Tensor:
    return embedded(backbone(name, x.device)(x), head_weights(name, x.device))


def _unweighted(name: BackboneName, x: Tensor) -> Tensor:
    return embedded(backbone(name, x.device)(x))


# ─ a model's own features ─────────────────────────────────────────────────────────────────────────────────────────────

_RELUS = ("relu", "relu6", "leaky_relu", "prelu", "rrelu", "hardtanh", "hardswish")


_ACTIVATIONS = frozenset(
    [*_RELUS, "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "tanh"]
)


def own_features(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The logits (B, K) of one pass through the model, and its features (B, D), embedded.

    The features are what the layers put out that one of its modules lists as feature_layers. Where none does, they are
    the last map of each shape behind an activation function, module or not: of a VGG net that is relu1_2 to relu5_3, of
    a residual net the output of each stage; of one with pre-activation blocks, whose outputs pass no activation, the
    last map inside the stage's last block. A net without maps is compared by its flat activations (B, D) instead.

    The model may be wrapped: it is called as it is, and may fill up the batch behind the examples of x. Its mode,
    weights and hooks stay as they are.

    Raises: InvspecError where the model has no activations, as a linear one.
    """
    named = [layer for module in model.modules() for layer in getattr(module, "feature_layers", ())]
    if named:
        logits, maps = _heard(model, x, list(dict.fromkeys(named)))
    else:
        with _Activations() as found:
            logits = model(x)
        maps = _last_of_each_shape(found.outputs)
    if not maps:
        raise InvspecError(
            "the model has no activations whose features could be compared",
            hint="use another distance than laidlaw_self",
        )
    return logits, embedded([each[: len(x)].to(logits.dtype) for each in maps])


class _Activations(TorchFunctionMode):
    """Collects what activation functions return while it is entered, be they called by a module or not."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "").rstrip("_") in _ACTIVATIONS:
            self.outputs.append(found)
        return found


def _last_of_each_shape(activations: Sequence[Tensor]) -> list[Tensor]:
    maps = [each for each in activations if each.ndim >= 4] or [
        each for each in activations if each.ndim == 2
    ]
    return list({each.shape[1:]: each for each in maps}.values())


def _heard(model: nn.Module, x: Tensor, layers: Sequence[nn.Module]) -> tuple[Tensor, list[Tensor]]:
    """The logits, and what each of these layers put out on the way."""
    maps: list[Tensor] = []

    def hear(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        maps.append(output)

    handles = [layer.register_forward_hook(hear) for layer in layers]
    try:
        return model(x), maps
    finally:
        for handle in handles:
            handle.remove()


# ─ pixels ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

_WINDOW, _DEVIATION, _K1, _K2 = 11, 1.5, 0.01, 0.03


def ssim(x: Tensor, other: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004) of images in [0, 1], (B, C, H, W) twice to (B,), 1 for equal ones.

    The mean over channels and over all places where the Gaussian window of 11 x 11 fits; it is cut to smaller images.

    >>> ssim(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8))
    tensor([9.9990e-05])
    """
    mean, mean_other = _blurred(x), _blurred(other)
    variance, variance_other = _blurred(x * x) - mean**2, _blurred(other * other) - mean_other**2
    covariance = _blurred(x * other) - mean * mean_other
    luminance = (2 * mean * mean_other + _K1**2) / (mean**2 + mean_other**2 + _K1**2)
    structure = (2 * covariance + _K2**2) / (variance + variance_other + _K2**2)
    return (luminance * structure).flatten(1).mean(1)


def _blurred(x: Tensor) -> Tensor:
    """Weighted means over the window, (B, C, H, W) to (B, C, H', W')."""
    channels, (height, width) = x.shape[1], (min(_WINDOW, size) for size in x.shape[2:])
    kernel = _gaussian(height, x)[:, None] * _gaussian(width, x)
    return F.conv2d(x, kernel.expand(channels, 1, -1, -1), groups=channels)


def _gaussian(length: int, like: Tensor) -> Tensor:
    at = torch.arange(length, dtype=like.dtype, device=like.device) - (length - 1) / 2
    weights = torch.exp(-0.5 * (at / _DEVIATION) ** 2)
    return weights / weights.sum()


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1)


def _as_it_is(x: Tensor) -> Tensor:
    return x


_PIXELS: dict[Distance, ImageDistance] = {
    "l2": ImageDistance(_flat, _euclidean),
    "linf": ImageDistance(_flat, lambda x, other: size(x - other, "linf")),
    "rmse": ImageDistance(_flat, lambda x, other: _euclidean(x, other) / x.shape[1] ** 0.5),
    "ssim": ImageDistance(_as_it_is, lambda x, other: 1 - ssim(x, other)),
}
