"""The recipe of trainings that must be fast."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Number
from invspec.ops.draws import Stream
from invspec.ops.geometry import Fill
from invspec.ops.norms import per_example
from invspec.training.augmentation import shifted
from invspec.training.fields import BatchSize, Epochs, LearningRate, Schedule, Warmup, WeightDecay
from invspec.training.loss import StepLoss
from invspec.training.recipe import Recipe


class FastRecipe(Recipe):
    """A recipe with smoothed labels, crops from a reflected border and flips that alternate.

    flip mirrors half of the images in the first epoch, the other half in the second, and so on, so
    that two epochs in a row see both versions of each image. The number of an image decides to
    which half it belongs, in all trainings alike.
    """

    epochs: Epochs = 20
    batch_size: BatchSize = 256
    lr: LearningRate = 0.5
    weight_decay: WeightDecay = 1e-3
    schedule: Schedule = "one_cycle"
    warmup: Warmup = 0.25
    crop: int = Field(
        default=2, ge=0, description="shift images by up to this many pixels each way"
    )
    flip: bool = Field(default=True, description="mirror each image in every other epoch")
    fill: Fill = Field(
        default="reflect",
        description="pixels that shifts and rotations bring in: zero, or the image reflected at "
        "its edge",
    )
    label_smoothing: Number = Field(
        default=0.1, ge=0, lt=1, description="share of the label that is spread over all classes"
    )

    def varied(self, batch: Batch, progress: float, rng: Stream) -> Batch:
        """The augmented batch; progress, in (0, 1), is the share of updates done."""
        if not self.flip:
            return self.augment(batch, rng)
        x = alternated(batch.x, batch.index, int(progress * self.epochs))
        return self.model_copy(update={"flip": False}).augment(replace(batch, x=x), rng)

    def smoothed(self, net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
        """Mean cross-entropy with smoothed labels."""
        logits = net(batch.x)
        loss = F.cross_entropy(logits, batch.y, label_smoothing=self.label_smoothing)
        return StepLoss(loss, logits)

    def _shifted(self, x: Tensor, rng: Stream) -> Tensor:
        return shifted(x, self.crop, rng, self.fill)


def alternated(x: Tensor, index: Tensor, epoch: int) -> Tensor:
    """Mirror the images of x (B, C, H, W) with these numbers whose turn it is in an epoch."""
    chosen = (halves(index) + epoch) % 2 == 1
    return torch.where(per_example(chosen.to(x.device), x), x.flip(3), x)


def halves(index: Tensor) -> Tensor:
    """0 or 1 for each number (B,), int64: mixed bits, so that the order of the files says nothing.

    >>> halves(torch.arange(12)).tolist()
    [0, 0, 1, 0, 1, 1, 0, 1, 0, 0, 0, 1]
    """
    # a round of splitmix32, in 64 bits; int64 must not overflow, which differs between devices
    mixed = (index + 0x9E3779B9) % 2**32
    mixed = (mixed ^ (mixed >> 16)) * 0x21F0AAAD % 2**32
    mixed = (mixed ^ (mixed >> 15)) * 0x735A2D97 % 2**32
    return (mixed ^ (mixed >> 15)) % 2
