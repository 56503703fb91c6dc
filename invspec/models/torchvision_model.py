"""Classification nets of torchvision, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from pydantic import Field, field_validator
from torch import nn
from torchvision import models

from invspec.errors import suggest
from invspec.layers.standardise import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Mean,
    Standardise,
    StandardisedNet,
    StandardisingModel,
    Std,
)
from invspec.layers.torchvision import WITH_AUXILIARY_HEADS
from invspec.ops.types import Shape


class TorchvisionNet(StandardisedNet):
    """A net of torchvision behind its standardisation; `arch` is its name in torchvision."""

    def __init__(self, standardise: Standardise, net: nn.Module, arch: str) -> None:
        super().__init__(standardise, net)
        self.arch = arch


class TorchvisionModel(StandardisingModel):
    """A classification net of torchvision, for the data set's classes, behind a standardisation.

    Takes RGB images of the sizes that the architecture allows; vision transformers and MaxViT are
    built for the size of the data set's images. GoogLeNet and Inception are built without their
    auxiliary heads, and transform their input as their published weights expect.

    The weights are torchvision's initial ones. The defence torchvision_weights loads the published
    weights, the defence pretrained loads weights from a file. A smoke run builds ResNet-18 in place
    of every net.
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
            hint = suggest(arch, known) or "see torchvision.models"
            raise ValueError(f"torchvision has no net {arch!r}; {hint}")
        return arch

    def smoke(self) -> Self:
        """ResNet-18: it is small, and takes the small images of a smoke run."""
        return super().smoke().model_copy(update={"arch": "resnet18"})

    def build(self, shape: Shape, classes: int) -> TorchvisionNet:
        if shape[0] != 3:
            raise ValueError(f"{self.arch} needs RGB images, found {shape[0]} channels")
        settings = _settings(self.arch, shape)
        net = models.get_model(self.arch, weights=None, num_classes=classes, **settings)
        return TorchvisionNet(Standardise(self.mean, self.std, 3), net, self.arch)

    def sketch(self, shape: Shape, classes: int) -> nn.Module:
        try:
            return super().sketch(shape, classes)
        except NotImplementedError:
            # RegNets compute their widths with tensors, which the meta device cannot do.
            with torch.random.fork_rng(devices=[]):
                return self.build(shape, classes)


def _settings(arch: str, shape: Shape) -> Mapping[str, Any]:
    """Further arguments of the net's constructor."""
    if arch in WITH_AUXILIARY_HEADS:
        # torchvision warns unless init_weights is given; True is the present default
        return {"aux_logits": False, "transform_input": True, "init_weights": True}
    _, height, width = shape
    if arch.startswith("vit_"):
        if height != width:
            raise ValueError(f"{arch} needs square images, found {height}x{width}")
        return {"image_size": height}
    return {"input_size": (height, width)} if arch == "maxvit_t" else {}
