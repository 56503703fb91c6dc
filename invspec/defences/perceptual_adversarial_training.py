"""Adversarial training on images that look alike to the net that is being trained."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field
from torch import nn

from invspec.attacks.lpa import FastLPA
from invspec.data import Batch
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.kinds import Number
from invspec.ops.draws import Stream
from invspec.registry.fields import AttackField
from invspec.search.gradients import logits_of
from invspec.training.fields import BatchSize, Epochs, LearningRate, Optimiser, Schedule
from invspec.training.modes import attackable

WARM_UP_THEN_DROPS = ((0, 0), (0.05, 1), (0.75, 1), (0.75, 0.1), (0.9, 0.1), (0.9, 0.01), (1, 0.01))


class PerceptualAdversarialTraining(AdversarialTraining):
    """Learn the images of each batch that the model has right from what Fast-LPA makes of them, the others as they are.

    With distance laidlaw_self, the default, the ball is one of the features of the model as it is at that moment. The
    learning rate rises over the first 5 of 100 epochs and drops tenfold after 75 and 90, at these shares of `epochs`.

    Deviates: gradients of all weights together are shortened to the l2 norm max_gradient_norm; the published code cuts
    every entry at 1.
    """

    epochs: Epochs = 100
    batch_size: BatchSize = 50
    optimiser: Optimiser = "sgd"
    lr: LearningRate = 0.1
    weight_decay: Number = Field(
        default=2e-4, ge=0, description="coefficient of half the squared norm of all weights"
    )
    schedule: Schedule = Field(
        default="piecewise", description="course of lr; the knots are warm-up and drops"
    )
    knots: tuple[tuple[Number, Number], ...] = Field(
        default=WARM_UP_THEN_DROPS,
        description="schedule piecewise: share of the updates done, and the factor of lr",
    )
    max_gradient_norm: Number | None = Field(
        default=1.0, gt=0, description="shorten longer gradients of all weights to this l2 norm"
    )
    attack: AttackField = Field(
        default=FastLPA(steps=10), description="what the model is trained against"
    )
    only_correct: bool = Field(
        default=True, description="attack only what the model has right, and learn the rest"
    )

    def attacked(self, model: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        if not self.only_correct:
            return super().attacked(model, batch, progress, rng)
        with attackable(model):
            rows = (logits_of(model, batch.x).argmax(1) == batch.y).nonzero().squeeze(1)
        if not len(rows):
            return batch
        x = batch.x.clone()
        x[rows] = super().attacked(model, batch.take(rows), progress, rng).x
        return replace(batch, x=x)
