"""Adversarial training within a perceptual distance, measured by the net under training."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field
from torch import nn

from invspec.data import Batch
from invspec.ops.draws import Stream
from invspec.registry.fields import default
from invspec.search.gradients import logits_of
from invspec.training.adversarial import CleanFraction, InnerAttack, Ramp, attack_batch
from invspec.training.fields import (
    BatchSize,
    Epochs,
    Knots,
    LearningRate,
    MaxGradientNorm,
    Optimiser,
    Schedule,
    WeightDecay,
)
from invspec.training.modes import attackable
from invspec.training.prepared import PreparedTraining

# share of the updates and factor of lr; two knots at one share make a drop
WARM_UP_THEN_DROPS = ((0, 0), (0.05, 1), (0.75, 1), (0.75, 0.1), (0.9, 0.1), (0.9, 0.01), (1, 0.01))


class PerceptualAdversarialTraining(PreparedTraining):
    """Attack the images that the model classifies correctly; learn the others as they are.

    With distance laidlaw_self, the default of the attack Fast-LPA, the ball is measured in features
    of the current model. The learning rate rises over the first 5 of 100 epochs and drops tenfold
    after 75 and 90, at these shares of `epochs`.

    Deviates: the gradient of all weights together is rescaled to an l2 norm of at most
    max_gradient_norm; the published code clips every entry at 1.
    """

    epochs: Epochs = 100
    batch_size: BatchSize = 50
    optimiser: Optimiser = "sgd"
    lr: LearningRate = 0.1
    weight_decay: WeightDecay = 2e-4
    schedule: Schedule = "piecewise"
    knots: Knots = WARM_UP_THEN_DROPS
    max_gradient_norm: MaxGradientNorm = 1.0
    attack: InnerAttack = default("attack", "fast_lpa", steps=10)
    clean_fraction: CleanFraction = 0.0
    ramp: Ramp = 0.0
    only_correct: bool = Field(
        default=True, description="attack only images that the model classifies correctly"
    )

    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """The augmented batch, its correctly classified images attacked."""
        batch = self.augment(batch, rng)
        if not self.only_correct:
            return attack_batch(
                self.attack, net, batch, progress, rng, ramp=self.ramp, clean=self.clean_fraction
            )
        with attackable(net):
            correct = logits_of(net, batch.x).argmax(1) == batch.y
        # on the CPU, where `take` wants them too: one wait for the device, not two
        rows = correct.cpu().nonzero().squeeze(1)
        if not len(rows):
            return batch
        x = batch.x.clone()
        x[rows] = attack_batch(
            self.attack,
            net,
            batch.take(rows),
            progress,
            rng,
            ramp=self.ramp,
            clean=self.clean_fraction,
        ).x
        return replace(batch, x=x)
