"""Facts about the nets of torchvision."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")


@runtime_checkable
class HasTorchvisionArch(Protocol):
    """A net built by torchvision (models torchvision, vgg19, resnet50_imagenet)."""

    @property
    def arch(self) -> str:
        """The name of the architecture in torchvision."""
        ...
