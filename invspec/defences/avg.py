"""Training on several attacks at once."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from invspec.data import Batch
from invspec.ops.draws import Stream
from invspec.registry.fields import AttackField, defaults
from invspec.search.fields import MNIST_UNION
from invspec.training.adversarial import Ramp, perturbed, ramped
from invspec.training.fields import BatchSize, Epochs, LearningRate, Optimiser
from invspec.training.prepared import PreparedTraining


class AVG(PreparedTraining):
    """Attack each batch with every attack and learn from all results together.

    An update thus minimises the mean loss over attacks, and sees batch_size images per attack.
    Images are attacked after augmentation, on the model in eval mode. A ramp, which the paper does
    not have, lets perturbations grow to full size.

    Deviates: one update per batch; the authors' code for MNIST makes one after each of its three
    attacks.
    """

    # Maini et al.'s recipe for MNIST, except for its piecewise linear lr
    epochs: Epochs = 15
    batch_size: BatchSize = 100
    optimiser: Optimiser = "adam"
    lr: LearningRate = 1e-3
    attacks: tuple[AttackField, ...] = defaults(
        "attack",
        *MNIST_UNION,
        min_length=1,
        description="attacks that the model is trained against, each on every batch",
    )
    ramp: Ramp = 0.0

    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """The augmented batch attacked by each attack in turn, x (len(attacks) B, C, H, W)."""
        batch = self.augment(batch, rng)
        attacked = [perturbed(attack, net, batch, rng) for attack in self.attacks]
        x = torch.cat([ramped(batch.x, x_adv, progress, self.ramp) for x_adv in attacked])
        times = len(self.attacks)
        return replace(batch, x=x, y=batch.y.repeat(times), index=batch.index.repeat(times))
