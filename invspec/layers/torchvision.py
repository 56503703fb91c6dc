"""Facts about the nets of torchvision."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")


@runtime_checkable
class OfTorchvision(Protocol):
    """A net of torchvision, as the models torchvision, vgg19 and resnet50_imagenet are."""

    @property
    def arch(self) -> str:
        """Its name there."""
        ...
