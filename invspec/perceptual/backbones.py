"""Fixed nets whose features LPIPS compares."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path

import lpips
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invspec.errors import InvspecError
from invspec.layers.cifar_alexnet import RELUS, cifar_alexnet
from invspec.layers.standardise import CIFAR10_MEAN, CIFAR10_STD, IMAGENET_MEAN, IMAGENET_STD
from invspec.perceptual.weights import (
    PUBLISHED,
    BackboneName,
    Published,
    cifar_file,
    fill,
    fill_published,
    state_dict,
)

# On CPUs an example's features do not depend on its batch if the batch size is a multiple of this.
ROWS = 16

# Images with a shorter side, in pixels, are padded.
MIN_SIDE = 32


class Backbone(nn.Module):
    """The outputs of some layers of a fixed net: images (B, C, H, W) in [0, 1] to a tuple of maps.

    Greyscale is repeated to three channels. Images smaller than 32 are padded with black by
    (32 - size) // 2 + 1 on each side, so that 28 becomes 34.

    Raises: InvspecError for images that have neither one nor three channels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.layers = layers
        for name, values in {"mean": mean, "std": std}.items():
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The maps (B, C', H', W') in the order of the layers, float32."""
        rows = len(x)
        padded = torch.cat([x, x[-1:].expand(-rows % ROWS, *x.shape[1:])]).to(self.mean.dtype)
        maps = self.layers((_enlarged(_coloured(padded)) - self.mean) / self.std)
        return tuple(features[:rows] for features in maps)


def _coloured(x: Tensor) -> Tensor:
    if x.shape[1] not in (1, 3):
        raise InvspecError(
            f"LPIPS compares images of 1 or 3 channels, found {x.shape[1]}",
            hint="use distance: laidlaw_self, which takes any input of the model",
        )
    return x.expand(-1, 3, -1, -1)


def _enlarged(x: Tensor) -> Tensor:
    """x, padded with black if it is smaller than 32 pixels."""
    down, across = map(_margin, x.shape[2:])
    # 0 is black; LPIPS scales images so that black is -1.
    return F.pad(x, (across, across, down, down))


def _margin(side: int) -> int:
    """Pixels to add at each end of a side that is too short."""
    return (MIN_SIDE - side) // 2 + 1 if side < MIN_SIDE else 0


class Outputs(nn.Sequential):
    """Layers in sequence that return the outputs at `positions`, in order."""

    def __init__(self, layers: nn.Sequential, positions: tuple[int, ...]) -> None:
        super().__init__(*layers)
        self.positions = positions

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Maps (B, C, H, W), one per position."""
        outputs: list[Tensor] = []
        for position, layer in enumerate(self):
            x = layer(x)
            if position in self.positions:
                outputs.append(x)
        return tuple(outputs)


@lru_cache
def backbone(name: BackboneName, device: torch.device) -> Backbone:
    """The named net with frozen weights, loaded once per process and device.

    Weights are read from INVSPEC_DATA/weights/<file> (.pth or .safetensors) if that file exists:
    the state dict of torchvision's net, or of its features. Otherwise `files.published` finds or
    downloads the weights of the ImageNet nets.

    alex, squeeze and vgg always have the published weights, so that keys of tasks need not name
    them. For alex and squeeze, a file with other values is refused; for vgg, whose digest is
    unknown, only the shapes are checked. alexnet_cifar is the user's own: `own_files` gives its
    digest.

    Raises: InvspecError if the weights are missing or not the published ones.
    """
    net = _cifar() if name == "alexnet_cifar" else _imagenet(PUBLISHED[name])
    return net.eval().requires_grad_(False).to(device)


@lru_cache
def head_weights(name: BackboneName, device: torch.device) -> tuple[Tensor, ...]:
    """LPIPS' channel weights (C',) for each map of a backbone: version 0.1, from the package."""
    heads = state_dict(Path(lpips.__file__).parent / "weights" / "v0.1" / f"{name}.pth")
    names = [f"lin{layer}.model.1.weight" for layer in range(len(heads))]
    return tuple(heads[name].flatten().to(device) for name in names)


def _imagenet(published: Published) -> Backbone:
    # On the meta device, so that no initial weights are drawn.
    with torch.device("meta"), warnings.catch_warnings():
        # lpips calls torchvision with deprecated arguments.
        warnings.simplefilter("ignore")
        layers = published.slices(pretrained=False)
    fill_published(layers, published)
    return Backbone(layers, IMAGENET_MEAN, IMAGENET_STD)


def _cifar() -> Backbone:
    path = cifar_file()
    with torch.device("meta"):
        layers = Outputs(cifar_alexnet(3), RELUS)
    fill(layers, state_dict(path), path, lambda name: f"net.features.{name}")
    return Backbone(layers, CIFAR10_MEAN, CIFAR10_STD)
