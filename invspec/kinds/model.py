"""Models."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from invspec.kinds.method import Method
from invspec.ops.types import Shape

if TYPE_CHECKING:
    from torch import nn


class Model(Method):
    """A net from pixels (B, C, H, W) in [0, 1] to logits (B, K); it includes any normalisation.

    makes: what comes out. A net that makes images is a generator: it maps (B, 2C, H, W), a source
    and then a target, to an image (B, C, H, W), which is clamped to the bounds of pixels.
    """

    kind: ClassVar[str] = "model"
    makes: ClassVar[Literal["logits", "images"]] = "logits"

    # where its weights come from: drawn for every seed, a published file, or it has none
    weights_from: ClassVar[Literal["drawn", "published", "none"]] = "drawn"

    @property
    def random_passes(self) -> int:
        """Passes over which predictions are averaged, for a net that draws random numbers; else 0.

        Such a net draws anew in every pass, from torch's global generator. This is what attacks
        see; judging and measures see the mean probabilities of this many passes, whose draws depend
        on the image alone.
        """
        return 0

    @abstractmethod
    def build(self, shape: Shape, classes: int) -> nn.Module:
        """A fresh net. Its initial weights come from the global generators, which are seeded.

        What it learns is in parameters and buffers: nothing else is stored.
        """

    def sketch(self, shape: Shape, classes: int) -> nn.Module:
        """A net of the right shapes without weights, to check before a run what fits it.

        If it fails, or cannot compute logits, the net is built with weights instead.
        """
        # imported here: reading a spec must not import torch, which takes seconds
        import torch

        with torch.device("meta"):
            return self.build(shape, classes)

    def deploy(self, net: nn.Module) -> nn.Module:
        """The trained net as attacks and measures get it: eval mode, weights without gradients.

        It must leave its images as they are, and answer an image alike in every batch; a run
        verifies this, and warns of a net that draws random numbers.
        """
        return net.eval().requires_grad_(False)
