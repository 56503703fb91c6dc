"""Distances between images: LPIPS, Laidlaw's variant of it, and pixel distances.

LPIPS (Zhang et al. 2018) is squared and weights the channels. Laidlaw's variant (2021) does
neither, and so is a metric. Their values have different units: no threshold suits both, and a
report says which distance it uses (`describe`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, Self, TypeVar, cast

import torch
from torch import Tensor, nn

from invspec.memory import observed
from invspec.ops.norms import size
from invspec.ops.ssim import ssim
from invspec.perceptual.backbones import BackboneName, backbone, head_weights
from invspec.perceptual.features import embedded, own_features
from invspec.perceptual.weights import own_files

# Distances that are an l2 length between features, or its square.
Embedding = Literal[
    "lpips_alex",
    "lpips_squeeze",
    "lpips_vgg",
    "laidlaw_alex",
    "laidlaw_alexnet_cifar",
    "laidlaw_self",
    "l2",
]

Distance = Literal[Embedding, "linf", "rmse", "ssim"]

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


def describe(name: Distance) -> str:
    """The name of a distance in a report: its net, whether it is squared, its units.

    >>> describe("lpips_alex")
    'LPIPS (AlexNet, squared, weighted)'
    """
    return _LABELS[name]


def radius(name: Embedding, bound: float) -> float:
    """The length between features at which the distance equals bound.

    >>> radius("laidlaw_self", 0.25), radius("lpips_alex", 0.25)
    (0.25, 0.5)
    """
    return bound**0.5 if name.startswith("lpips_") else bound


def offline(name: Distance) -> Distance:
    """The distance for smoke runs: laidlaw_self instead of those that need weight files."""
    return "laidlaw_self" if name.startswith(("lpips_", "laidlaw_alex")) else name


class HasDistance(Protocol):
    """A method that compares images by its field `distance`."""

    @property
    def distance(self) -> Distance:
        """The name of the distance."""
        ...

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """A copy with some fields changed."""
        ...


MethodWithDistance = TypeVar("MethodWithDistance", bound=HasDistance)


def with_offline_distance(method: MethodWithDistance) -> MethodWithDistance:
    """The method with a distance that needs no download, for smoke runs."""
    return method.model_copy(update={"distance": offline(method.distance)})


def weights_read(name: Distance) -> dict[str, str]:
    """Method.reads for the user's own weights. Raises InvspecError if their file is missing."""
    return own_files(_backbone_name(name)) if name.startswith("laidlaw_") else {}


@dataclass(frozen=True)
class ImageDistance:
    """A distance between images, computed from their features.

    features maps images (B, C, H, W) to features (B, ...), and between maps two such tensors to
    distances (B,). Both are differentiable.
    """

    features: Callable[[Tensor], Tensor]
    between: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, x: Tensor, other: Tensor) -> Tensor:
        """The distance (B,) between each pair of images, both (B, C, H, W)."""
        return self.between(self.features(x), self.features(other))

    def around(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """The distance from x; the features of x are computed once, without a graph."""
        with torch.no_grad():
            reference = self.features(x)
        return lambda other: self.between(self.features(other), reference)


def distance(name: Distance, model: nn.Module | None = None) -> ImageDistance:
    """The named distance between images in [0, 1]; only laidlaw_self uses the model.

    Raises: InvspecError, when it is first evaluated, if weights are missing or images do not fit.
    """
    if name in _PIXEL_DISTANCES:
        return _PIXEL_DISTANCES[name]
    if name == "laidlaw_self":
        assert model is not None, "laidlaw_self compares the features of a model; pass one"
        return ImageDistance(lambda x: own_features(model, x)[1], _euclidean)
    if name.startswith("lpips_"):
        return ImageDistance(partial(_weighted, _backbone_name(name)), _squared)
    return ImageDistance(partial(_unweighted, _backbone_name(name)), _euclidean)


def _backbone_name(name: Distance) -> BackboneName:
    return cast(BackboneName, name.removeprefix("lpips_").removeprefix("laidlaw_"))


def _weighted(name: BackboneName, x: Tensor) -> Tensor:
    weights = head_weights(name, x.device)
    return _in_pieces(name, lambda maps: embedded(maps, weights), x)


def _unweighted(name: BackboneName, x: Tensor) -> Tensor:
    return _in_pieces(name, embedded, x)


def _in_pieces(
    name: BackboneName, embed: Callable[[tuple[Tensor, ...]], Tensor], x: Tensor
) -> Tensor:
    """The embedded maps of a backbone, for as many images at once as fit into memory."""
    net = backbone(name, x.device)
    return observed(lambda images: embed(net(images)), net, x)


def _euclidean(features: Tensor, others: Tensor) -> Tensor:
    return size(features - others, "l2")


def _squared(features: Tensor, others: Tensor) -> Tensor:
    return (features - others).square().flatten(1).sum(1)


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1)


def _unchanged(x: Tensor) -> Tensor:
    return x


_PIXEL_DISTANCES: dict[Distance, ImageDistance] = {
    "l2": ImageDistance(_flat, _euclidean),
    "linf": ImageDistance(_flat, lambda x, other: size(x - other, "linf")),
    "rmse": ImageDistance(_flat, lambda x, other: _euclidean(x, other) / x.shape[1] ** 0.5),
    "ssim": ImageDistance(_unchanged, lambda x, other: 1 - ssim(x, other)),
}
