"""Weights of the LPIPS backbones: torchvision's and the user's own, with their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from lpips import pretrained_networks
from torch import Tensor, nn
from torchvision import models

from invspec.errors import InvspecError
from invspec.files.published import published_weights, user_file
from invspec.files.weights import content_of, loaded, sha256

BackboneName = Literal["alex", "squeeze", "vgg", "alexnet_cifar"]


@dataclass(frozen=True)
class Published:
    """An ImageNet net of torchvision: lpips' class of its convolutions, and its weights.

    sha256 is the digest of the values, in float32 and in layer order; None if it is unknown.
    """

    slices: Callable[..., nn.Module]
    file: str
    weights: str
    sha256: str | None = None


PUBLISHED: dict[str, Published] = {
    "alex": Published(
        pretrained_networks.alexnet,
        "alexnet_imagenet1k_v1_features",
        "AlexNet_Weights",
        "2b566cc3a4d6f0a7343701af22f461f1ac3dcd03a3ac28cce10968a1d3c85fdc",
    ),
    "squeeze": Published(
        pretrained_networks.squeezenet,
        "squeezenet1_1_imagenet1k_v1_features",
        "SqueezeNet1_1_Weights",
        "31a70309e8549af9ed7a9ac21db00c246844293b72a774f4d1a18e9edfde8605",
    ),
    "vgg": Published(pretrained_networks.vgg16, "vgg16_imagenet1k_v1_features", "VGG16_Weights"),
}


def fill_published(layers: nn.Module, published: Published) -> None:
    """Load the weights of an ImageNet net into layers on the meta device.

    Raises: InvspecError if there are none, or if the user's file has other values.
    """
    url = getattr(models, published.weights).IMAGENET1K_V1.url
    content, path = published_weights(url, published.file)
    state = _require_dict(content, path)
    weights = {name.removeprefix("features."): tensor for name, tensor in state.items()}
    # lpips groups the layers into slices: its name slice1.0.weight is torchvision's 0.weight.
    fill(layers, weights, path, lambda name: name.partition(".")[2])
    if published.sha256 not in (None, _digest(layers)):
        raise InvspecError(
            f"{path} differs from torchvision's {published.weights}.IMAGENET1K_V1",
            hint="remove the file to download torchvision's",
        )


def own_files(name: BackboneName) -> dict[str, str]:
    """SHA-256 of the user's own weight file, if any. Raises InvspecError if it is missing."""
    return {name: sha256(cifar_file())} if name == "alexnet_cifar" else {}


def cifar_file() -> Path:
    """The user's weights of alexnet_cifar. Raises InvspecError if there are none."""
    path = user_file("alexnet_cifar")
    if path is None:
        raise InvspecError(
            "no weights of alexnet_cifar found; none are published",
            hint="train the model alexnet_cifar on cifar10, and copy the model.safetensors in the "
            "store to $INVSPEC_DATA/weights/alexnet_cifar.safetensors",
        )
    return path


def state_dict(path: Path) -> dict[str, Tensor]:
    """The state dict in a file."""
    return _require_dict(loaded(content_of(path), path), path)


def fill(
    layers: nn.Module, weights: Mapping[str, Tensor], path: Path, named: Callable[[str], str]
) -> None:
    """Load weights into layers on the meta device; `named` gives a tensor's name in the file."""
    shapes = {name: tensor.shape for name, tensor in layers.state_dict().items()}
    for name, shape in shapes.items():
        actual = getattr(weights.get(named(name)), "shape", None)
        if actual != shape:
            described = "no tensor" if actual is None else f"shape {tuple(actual)}"
            raise InvspecError(
                f"{path} does not fit the net: {named(name)} has {described}, "
                f"expected shape {tuple(shape)}"
            )
    layers.load_state_dict({name: weights[named(name)].float() for name in shapes}, assign=True)


def _require_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The content of a file. Raises InvspecError if it is not a dict; `fill` checks its tensors."""
    if not isinstance(content, dict):
        raise InvspecError(f"{path} holds a {type(content).__name__}, expected a state dict")
    return cast(dict[str, Tensor], content)


def _digest(layers: nn.Module) -> str:
    """SHA-256 of all weights, one after the other."""
    # of the values, because the same weights may come as .pth or as .safetensors
    digest = hashlib.sha256()
    for tensor in layers.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
