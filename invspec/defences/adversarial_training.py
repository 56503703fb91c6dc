"""Training on what an attack makes of the images."""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.ops.draws import Stream
from invspec.registry.fields import AttackField
from invspec.training.adversarial import Ramp, ramped
from invspec.training.fields import BatchSize, Epochs, LearningRate, Optimiser
from invspec.training.loop import Training
from invspec.training.modes import attackable
from invspec.training.precision import searched_by


class AdversarialTraining(Training):
    """Attack each batch on the model as it is at that moment, in eval mode, and learn the result in train mode.

    What is attacked are the images after crop, flip and rotation, in the precision of the training. Delicate attacks,
    like those in a ball of features, search in float32 whatever that is.

    The first clean_fraction of a batch, rounded to whole images, stays clean. A ramp leads a short training past the
    plateau at which large perturbations hold it from the start: perturbations are shrunk by a factor that rises to 1
    in proportion to the updates done. The paper has neither. The defaults are Madry et al.'s recipe for MNIST: 91
    epochs of 55,000 images make their 100,000 updates.

    Deviates: weight_decay is on everything that is trained, theirs not on biases and batch norm.
    """

    epochs: Epochs = 91
    batch_size: BatchSize = 50
    optimiser: Optimiser = "adam"
    lr: LearningRate = 1e-4
    attack: AttackField = Field(
        default=PGD(eps=0.3, steps=40, step_size=0.01),
        description="what the model is trained against",
    )
    clean_fraction: float = Field(
        default=0.0, ge=0, le=1, description="share of each batch that is not attacked"
    )
    ramp: Ramp = 0.0

    def prepare(self, model: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        return self.attacked(model, super().prepare(model, batch, progress, rng), progress, rng)

    def attacked(self, model: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """The batch, of which all but the first clean_fraction is attacked."""
        clean = round(self.clean_fraction * len(batch))
        if clean == len(batch):
            return batch
        with attackable(model):
            x_adv = self.attack.perturb(
                searched_by(self.attack, model), batch.take(torch.arange(clean, len(batch))), rng
            ).x_adv
        x_adv = ramped(batch.x[clean:], x_adv, progress, self.ramp)
        return replace(batch, x=torch.cat([batch.x[:clean], x_adv]))
