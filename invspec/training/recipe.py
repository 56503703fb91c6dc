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
        lr = self.lr if lr is None else lr
        match self.optimiser:
            case "sgd":
                return torch.optim.SGD(
                    weights, lr=lr, momentum=self.momentum, weight_decay=self.weight_decay
                )
            # weight_decay is added to the gradient: this is not AdamW
            case "adam":
                return torch.optim.Adam(weights, lr=lr, weight_decay=self.weight_decay)
            case "adamax":
                return torch.optim.Adamax(weights, lr=lr, weight_decay=self.weight_decay)

    def set_learning_rate(self, optimiser: torch.optim.Optimizer, progress: float) -> None:
        """Set the learning rate of an update."""
        for group in optimiser.param_groups:
            group["lr"] = self.learning_rate(progress)

    def clip_gradient(self, weights: Iterable[nn.Parameter]) -> None:
        """Rescale the gradient of all weights together to at most max_gradient_norm."""
        if self.max_gradient_norm is not None:
            nn.utils.clip_grad_norm_(weights, self.max_gradient_norm)
