"""Adversarial training on rotated images, with rotations and eps that grow in stages."""

from __future__ import annotations

from pydantic import model_validator
from torch import nn

from invspec.data import Batch
from invspec.ops.draws import Stream
from invspec.registry.fields import default
from invspec.training.adversarial import CleanFraction, InnerAttack, Ramp, attack_batch
from invspec.training.curriculum import (
    CIFAR10_STAGES,
    Stages,
    require_stages_decide,
    stage_at,
)
from invspec.training.fields import BatchSize, Epochs, LearningRate, Optimiser
from invspec.training.prepared import PreparedTraining


class CuSP(PreparedTraining):
    """Adversarial training whose rotations and eps grow together, stage by stage.

    Images are rotated, then attacked. Stages start at shares of the training, so they scale with
    `epochs`; milestones are epochs and do not. A stage replaces max_degrees, which must be 0 here,
    and the eps of `attack`. The default stages are the paper's for CIFAR-10.

    The loss is the cross-entropy of the attacked images; CuSPTRADES uses the paper's other loss.
    """

    epochs: Epochs = 91
    batch_size: BatchSize = 50
    optimiser: Optimiser = "adam"
    lr: LearningRate = 1e-4
    attack: InnerAttack = default("attack", "pgd", eps=8 / 255, steps=10, step_size=0.007)
    clean_fraction: CleanFraction = 0.0
    ramp: Ramp = 0.0
    stages: Stages = CIFAR10_STAGES

    _stages_decide = model_validator(mode="after")(require_stages_decide)

    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """The batch, augmented and attacked with the current stage's rotations and eps."""
        stage = stage_at(self.stages, progress)
        attack = stage.limited(self.attack)
        # rotated first, so that the ball is centred on the rotated image
        batch = stage.rotating(self).augment(batch, rng)
        return attack_batch(
            attack, net, batch, progress, rng, ramp=self.ramp, clean=self.clean_fraction
        )
