"""Classification nets of other libraries, by their own names: torchvision's and timm's."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from pydantic import Field, field_validator
from torch import nn
from torchvision import models

from invspec.errors import InvspecError, suggest
from invspec.layers.standardise import Mean, Standardise, StandardisedNet, StandardisingModel, Std
from invspec.layers.torchvision import WITH_AUXILIARY_HEADS
from invspec.ops.types import Shape
from invspec.perceptual.backbones import IMAGENET_MEAN, IMAGENET_STD


class TorchvisionNet(StandardisedNet):
    """A net of torchvision behind its standardisation, which knows its own name."""

    def __init__(self, standardise: Standardise, net: nn.Module, arch: str) -> None:
        super().__init__(standardise, net)
        self.arch = arch


class TorchvisionModel(StandardisingModel):
    """A classification net of torchvision for the data set's classes, behind ImageNet's mean and standard deviation.

    Takes RGB images of the sizes that the net takes: vision transformers and MaxViT are built for the size of the data
    set's images. GoogLeNet and Inception come without their auxiliary heads, and with the change of standardisation
    that their published weights expect.

    Its weights are torchvision's first ones; the defence torchvision_weights loads the published ones, the defence
    pretrained those of a file.
    """

    arch: str = Field(
        default="resnet18", description="name of the net, one of torchvision.models.list_models()"
    )
    mean: Mean = IMAGENET_MEAN
    std: Std = IMAGENET_STD

    @field_validator("arch")
    @classmethod
    def _is_known(cls, arch: str) -> str:
        if arch not in (known := models.list_models(module=models)):
            raise ValueError(
                f"torchvision has no net {arch!r}; {suggest(arch, known) or 'see torchvision.models'}"
            )
        return arch

    def build(self, shape: Shape, classes: int) -> TorchvisionNet:
        _require_rgb(self.arch, shape)
        net = models.get_model(
            self.arch, weights=None, num_classes=classes, **_settings(self.arch, shape)
        )
        return TorchvisionNet(Standardise(self.mean, self.std, 3), net, self.arch)

    def sketch(self, shape: Shape, classes: int) -> nn.Module:
        try:
            return super().sketch(shape, classes)
        except (
            NotImplementedError
        ):  # RegNets compute their widths with tensors, which then need numbers
            with torch.random.fork_rng(devices=[]):
                return self.build(shape, classes)


def _require_rgb(arch: str, shape: Shape) -> None:
    if shape[0] != 3:
        raise ValueError(f"{arch} takes RGB images, found {shape[0]} channels")


def _settings(arch: str, shape: Shape) -> Mapping[str, Any]:
    """What else the net is built with."""
    if arch in WITH_AUXILIARY_HEADS:
        return {"aux_logits": False, "transform_input": True, "init_weights": True}
    if arch.startswith("vit_"):
        if shape[1] != shape[2]:
            raise ValueError(f"{arch} takes square images, found {shape[1]}x{shape[2]}")
        return {"image_size": shape[1]}
    return {"input_size": shape[1:]} if arch == "maxvit_t" else {}


class TimmModel(StandardisingModel):
    """A net of timm, built for the channels and classes of the data set, behind a mean and a standard deviation.

    Many of timm's published weights expect mean and std 0.5 rather than ImageNet's: timm's page of the weights says
    which. The net starts untrained; the defence pretrained loads a file of weights by its SHA-256, so that nothing is
    downloaded and no key depends on what a server holds today.

    Raises: InvspecError where timm is not installed, ValueError where it has no such net.
    """

    arch: str = Field(
        default="resnet18", min_length=1, description="name of the net, one of timm.list_models()"
    )
    mean: Mean = IMAGENET_MEAN
    std: Std = IMAGENET_STD

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        timm = library()
        if not timm.is_model(self.arch):
            hint = suggest(self.arch, timm.list_models()) or "see timm.list_models()"
            raise ValueError(f"timm has no net {self.arch!r}; {hint}")
        net = timm.create_model(self.arch, pretrained=False, num_classes=classes, in_chans=shape[0])
        return self.standardised(net, shape[0])


def library() -> Any:
    """timm, which is an extra. Raises InvspecError where it is not installed."""
    try:
        return import_module("timm")
    except ImportError as problem:
        raise InvspecError(
            f"timm cannot be imported: {problem}", hint="pip install 'invspec[timm]'"
        ) from None
