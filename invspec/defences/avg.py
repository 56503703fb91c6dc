"""Training on what several attacks make of the images, all at once."""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field
from torch import nn

from invspec.attacks.union_max import UnionMax
from invspec.data import Batch
from invspec.ops.draws import Stream
from invspec.registry.fields import AttackField
from invspec.training.adversarial import Ramp, ramped
from invspec.training.fields import BatchSize, Epochs, LearningRate, Optimiser
from invspec.training.loop import Training
from invspec.training.modes import attackable
from invspec.training.precision import searched_by


class AVG(Training):
    """Attack each batch in every way, and learn from all that comes of it: as many images a batch for each attack.

    The loss is thus the mean over attacks. Images are attacked as in adversarial training, after crop, flip and
    rotation, on the model in eval mode. A ramp, which the paper has not, lets perturbations grow to their full size.

    Deviates: a batch makes one update; in the authors' code for MNIST it makes three, one after each attack.
    """

    epochs: Epochs = 15
    batch_size: BatchSize = 100
    optimiser: Optimiser = "adam"
    lr: LearningRate = 1e-3
    attacks: tuple[AttackField, ...] = Field(
        default=UnionMax().attacks,
        min_length=1,
        description="what the model is trained against, all of it",
    )
    ramp: Ramp = 0.0

    def prepare(self, model: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        batch = super().prepare(model, batch, progress, rng)
        with attackable(model):
            found = [
                attack.perturb(searched_by(attack, model), batch, rng).x_adv
                for attack in self.attacks
            ]
        x = torch.cat([ramped(batch.x, x_adv, progress, self.ramp) for x_adv in found])
        return replace(
            batch, x=x, y=batch.y.repeat(len(found)), index=batch.index.repeat(len(found))
        )
