"""Nets whose features tell how alike two images look, with their published or exported weights."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import lpips
import torch
import torch.nn.functional as F
from lpips import pretrained_networks
from torch import Tensor, nn
from torchvision import models

from invspec.errors import InvspecError
from invspec.files.weights import content_of, loaded, sha256

BackboneName = Literal["alex", "squeeze", "vgg", "alexnet_cifar"]


CIFAR10_MEAN, CIFAR10_STD = (
    (0.4914, 0.4822, 0.4465),
    (0.2470, 0.2435, 0.2616),
)  # as the model alexnet_cifar standardises


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


ROWS = 16  # on CPUs an example's features do not depend on its batch where the batch is a multiple of this


_LEAST = 32  # height and width below which images are padded, in pixels


@dataclass(frozen=True)
class _Published:
    """An ImageNet net of torchvision: lpips' class of its convolutional part, and where the weights are.

    sha256 is that of the numbers, in float32 and in the order of the layers; None where it is not known.
    """

    slices: Callable[..., nn.Module]
    file: str
    weights: str
    sha256: str | None = None


_PUBLISHED: dict[str, _Published] = {
    "alex": _Published(
        pretrained_networks.alexnet,
        "alexnet_imagenet1k_v1_features",
        "AlexNet_Weights",
        "2b566cc3a4d6f0a7343701af22f461f1ac3dcd03a3ac28cce10968a1d3c85fdc",
    ),
    "squeeze": _Published(
        pretrained_networks.squeezenet,
        "squeezenet1_1_imagenet1k_v1_features",
        "SqueezeNet1_1_Weights",
        "31a70309e8549af9ed7a9ac21db00c246844293b72a774f4d1a18e9edfde8605",
    ),
    "vgg": _Published(pretrained_networks.vgg16, "vgg16_imagenet1k_v1_features", "VGG16_Weights"),
}


class Backbone(nn.Module):
    """The outputs of some layers of a fixed net, for images (B, C, H, W) in [0, 1]: a tuple of maps (B, C', H', W').

    Greyscale is repeated to three channels. Images smaller than 32 are padded with black by (32 - size) // 2 + 1 on
    each side.

    Raises: InvspecError for images of neither one nor three channels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.layers = layers
        for name, values in {"mean": mean, "std": std}.items():
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The maps in the order of the layers, float32."""
        rows = len(x)
        padded = torch.cat([x, x[-1:].expand(-rows % ROWS, *x.shape[1:])]).to(self.mean.dtype)
        maps = self.layers((_enlarged(_coloured(padded)) - self.mean) / self.std)
        return tuple(each[:rows] for each in maps)


def _coloured(x: Tensor) -> Tensor:
    if x.shape[1] not in (1, 3):
        raise InvspecError(
            f"a net for colour images compares images of 1 or 3 channels, found {x.shape[1]}",
            hint="use distance: laidlaw_self, which takes whatever the model takes",
        )
    return x.expand(-1, 3, -1, -1)


def _enlarged(x: Tensor) -> Tensor:
    """x with black around it where it is smaller than 32 pixels; 28 become 34."""
    down, across = ((_LEAST - size) // 2 + 1 if size < _LEAST else 0 for size in x.shape[2:])
    return F.pad(x, (across, across, down, down))  # 0 is LPIPS' -1


class Outputs(nn.Sequential):
    """Layers of which some are listened to: all outputs of those at `kept`, in order."""

    def __init__(self, layers: nn.Sequential, kept: tuple[int, ...]) -> None:
        super().__init__(*layers)
        self.kept = kept

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Maps (B, C, H, W), one for each of `kept`."""
        found: list[Tensor] = []
        for position, layer in enumerate(self):
            x = layer(x)
            if position in self.kept:
                found.append(x)
        return tuple(found)


CIFAR_ALEXNET_WIDTHS = (64, 192, 384, 256, 256)


CIFAR_ALEXNET_KEPT = (1, 4, 7, 9, 11)  # the five outputs after ReLU of `cifar_alexnet`


def cifar_alexnet(
    channels: int, widths: tuple[int, int, int, int, int] = CIFAR_ALEXNET_WIDTHS
) -> nn.Sequential:
    """The convolutional part of Laidlaw et al.'s AlexNet for small images: (B, C, 32, 32) to (B, 256, 2, 2)."""
    first, second, third, fourth, fifth = widths
    return nn.Sequential(
        *(nn.Conv2d(channels, first, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(second, third, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(third, fourth, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(fourth, fifth, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    )


@lru_cache
def backbone(name: BackboneName, device: torch.device) -> Backbone:
    """The net of that name, whose weights need no gradient; read once per process and device.

    Weights are INVSPEC_DATA/weights/<file>, .pth or .safetensors, where there is such a file: a whole net's state dict
    as torchvision has it, or that of its features. Else those of the ImageNet nets are torchvision's, which it
    downloads and checks.

    alex, squeeze and vgg stand for the published weights and no others, so that no key of a task has to name them;
    other numbers are refused in a file for alex and squeeze, and for vgg, of which no digest was at hand, other shapes.
    alexnet_cifar is the user's own: `own_files` tells which.

    Raises: InvspecError where there are no weights, or other ones.
    """
    net = _cifar() if name == "alexnet_cifar" else _imagenet(_PUBLISHED[name])
    return net.eval().requires_grad_(False).to(device)


@lru_cache
def head_weights(name: BackboneName, device: torch.device) -> tuple[Tensor, ...]:
    """LPIPS' weight of each channel, one (C',) for every map of a backbone: version 0.1, which the package carries."""
    path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{name}.pth"
    heads = _tensors(path)
    return tuple(
        heads[f"lin{layer}.model.1.weight"].flatten().to(device) for layer in range(len(heads))
    )


def _imagenet(published: _Published) -> Backbone:
    with (
        torch.device("meta"),
        warnings.catch_warnings(),
    ):  # nothing is drawn for weights that are read below
        warnings.simplefilter("ignore")  # lpips asks torchvision in words that it has given up
        layers = published.slices(pretrained=False)
    path = _given(published.file)
    whole = _tensors(path) if path else _downloaded(published)
    weights = {name.removeprefix("features."): tensor for name, tensor in whole.items()}
    _fill(layers, weights, path or Path(published.file), lambda name: name.partition(".")[2])
    if path and published.sha256 not in (None, _digest(layers)):
        raise InvspecError(
            f"{path} holds other weights than those published as torchvision's {published.weights}.IMAGENET1K_V1",
            hint="without the file, torchvision downloads them",
        )
    return Backbone(layers, IMAGENET_MEAN, IMAGENET_STD)


def _digest(layers: nn.Module) -> str:
    """SHA-256 of all weights, one after the other."""
    found = hashlib.sha256()
    for tensor in layers.state_dict().values():
        found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def own_files(name: BackboneName) -> dict[str, str]:
    """SHA-256 of the files of weights that are the user's own, by name; none for published weights.

    Raises: InvspecError where there is no such file.
    """
    return {name: sha256(_cifar_file())} if name == "alexnet_cifar" else {}


def _cifar_file() -> Path:
    path = _given("alexnet_cifar")
    if path is None:
        raise InvspecError(
            "there are no weights of alexnet_cifar, which are trained and not published",
            hint="train the model alexnet_cifar on cifar10, and copy the model.safetensors that it leaves in the store "
            "to weights/alexnet_cifar.safetensors in the folder INVSPEC_DATA",
        )
    return path


def _cifar() -> Backbone:
    path = _cifar_file()
    with torch.device("meta"):
        layers = Outputs(cifar_alexnet(3), CIFAR_ALEXNET_KEPT)
    _fill(layers, _tensors(path), path, lambda name: f"net.features.{name}")
    return Backbone(layers, CIFAR10_MEAN, CIFAR10_STD)


def _given(file: str) -> Path | None:
    """The file that the user gave, if there is one."""
    folder = os.environ.get("INVSPEC_DATA")
    paths = (
        [Path(folder) / "weights" / f"{file}{suffix}" for suffix in (".pth", ".safetensors")]
        if folder
        else []
    )
    return next((path for path in paths if path.is_file()), None)


def _tensors(path: Path) -> dict[str, Tensor]:
    """A file's state dict."""
    found = loaded(content_of(path), path)
    if not isinstance(found, dict):
        raise InvspecError(f"{path} holds no state dict, but {type(found).__name__}")
    return cast(dict[str, Tensor], found)


def _downloaded(published: _Published) -> dict[str, Tensor]:
    """torchvision's weights, from its cache or the network."""
    try:
        state: Mapping[str, Any] = getattr(models, published.weights).IMAGENET1K_V1.get_state_dict(
            progress=False, check_hash=True, map_location="cpu"
        )
    except (OSError, RuntimeError) as problem:
        raise InvspecError(
            f"the ImageNet weights {published.file} are not there and cannot be downloaded: {problem}",
            hint=f"put them at weights/{published.file}.pth in the folder INVSPEC_DATA",
        ) from None
    return dict(state)


def _fill(
    layers: nn.Module, weights: Mapping[str, Tensor], path: Path, named: Callable[[str], str]
) -> None:
    """Give layers, which have no numbers yet, the weights whose names in the file are what `named` says."""
    shapes = {name: tensor.shape for name, tensor in layers.state_dict().items()}
    for name, shape in shapes.items():
        found = getattr(weights.get(named(name)), "shape", "nothing")
        if found != shape:
            raise InvspecError(
                f"{path} is another net: {named(name)} has {found}, expected {tuple(shape)}"
            )
    layers.load_state_dict({name: weights[named(name)].float() for name in shapes}, assign=True)
