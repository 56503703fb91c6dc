"""The settings common to all trainings: data, optimiser, learning rate, augmentation, precision."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pydantic import ConfigDict, Field
from torch import nn

from invspec.data import Split
from invspec.training.augmentation import Augmentation
from invspec.training.fields import (
    BatchSize,
    MaxGradientNorm,
    Momentum,
    Optimiser,
    PrecisionName,
    WeightDecay,
)
from invspec.training.precision import InPrecision
from invspec.training.schedules import LearningRateSchedule


class Recipe(LearningRateSchedule, Augmentation):
    """The fields of a training by minibatch descent: see `loop.fit`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    batch_size: BatchSize = 64
    optimiser: Optimiser = "sgd"
    momentum: Momentum = 0.9
    weight_decay: WeightDecay = 0.0
    max_gradient_norm: MaxGradientNorm = None
    examples: int | None = Field(
        default=None, ge=1, description="train on the first examples only; default: all"
    )
    precision: PrecisionName = Field(
        default="float32",
        description="precision of passes through the model: float32, tf32 (float32 with products "
        "in TF32 on GPUs), bfloat16, or auto (the fastest that agrees with float32, measured once "
        "for each store, model and image shape); weights, updates and attacks that need it always "
        "use float32",
    )

    def proxy(self, model: nn.Module) -> InPrecision:
        """The model as the training calls it."""
        return InPrecision(model, self.precision)

    def selected(self, data: Split) -> Split:
        """The examples to train on."""
        return data if self.examples is None else data.head(self.examples)

    def new_optimiser(
        self, weights: Iterable[nn.Parameter], lr: float | None = None
    ) -> torch.optim.Optimizer:
        """A fresh optimiser; lr defaults to the recipe's."""
        weights = list(weights)
        lr, decay = self.lr if lr is None else lr, self.weight_decay
        fused = True if have_fused_updates(weights) else None
        match self.optimiser:
            case "sgd":
                return torch.optim.SGD(
                    weights, lr=lr, momentum=self.momentum, weight_decay=decay, fused=fused
                )
            # weight_decay is added to the gradient: this is not AdamW
            case "adam":
                return torch.optim.Adam(weights, lr=lr, weight_decay=decay, fused=fused)
            # torch has no fused one; on a GPU it updates many weights with one kernel unasked
            case "adamax":
                return torch.optim.Adamax(weights, lr=lr, weight_decay=decay)

    def set_learning_rate(self, optimiser: torch.optim.Optimizer, progress: float) -> None:
        """Set the learning rate of an update."""
        for group in optimiser.param_groups:
            group["lr"] = self.learning_rate(progress)

    def clip_gradient(self, weights: Iterable[nn.Parameter]) -> None:
        """Rescale the gradient of all weights together to at most max_gradient_norm."""
        if self.max_gradient_norm is not None:
            nn.utils.clip_grad_norm_(weights, self.max_gradient_norm)


def have_fused_updates(weights: Iterable[nn.Parameter]) -> bool:
    """Whether an update of all weights is one kernel, rather than several for each of them.

    Only on GPUs: such kernels are deterministic, but round in another order, and the bits of
    trainings on a CPU stay as they are.
    """
    return all(weight.is_cuda for weight in weights)
