"""Classification nets of timm, by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pydantic import Field

from invspec.errors import InvspecError, suggest
from invspec.layers.standardise import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Mean,
    StandardisedNet,
    StandardisingModel,
    Std,
)
from invspec.ops.types import Shape


class TimmModel(StandardisingModel):
    """A net of timm, for the channels and classes of the data set, behind a standardisation.

    Many of timm's published weights expect mean and std 0.5 instead of ImageNet's; timm's page of
    the weights says which. The net starts untrained. The defence pretrained loads weights from a
    file, checked by its SHA-256, so that nothing is downloaded and no key depends on a server.

    Raises: InvspecError if timm is not installed, ValueError if it has no such net.
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
    """The module timm, an optional dependency. Raises InvspecError if it is not installed."""
    try:
        return import_module("timm")
    except ImportError as problem:
        raise InvspecError(
            f"timm cannot be imported: {problem}", hint="pip install 'invspec[timm]'"
        ) from None
