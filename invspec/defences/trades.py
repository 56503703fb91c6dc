"""Training for accuracy on clean images and stable predictions around them."""

from __future__ import annotations

from pydantic import model_validator
from torch import nn

from invspec.data import Batch
from invspec.ops.draws import Stream
from invspec.registry.fields import default
from invspec.training.adversarial import InnerAttack
from invspec.training.divergence import (
    DivergenceTraining,
    attack_divergence,
    require_divergence_attack,
)
from invspec.training.fields import (
    BatchSize,
    Epochs,
    LearningRate,
    Milestones,
    Optimiser,
    Schedule,
)


class TRADES(DivergenceTraining):
    """Cross-entropy of clean images + beta KL(f(x) || f(x_adv)); x_adv maximises the KL.

    The attack, a PGD with labels f(x), maximises the divergence in eval mode, starting at x plus
    normal noise of standard deviation 0.001. The clean and the attacked half then go through the
    net separately, in train mode, so that each has its own batch norm statistics; both arguments of
    the divergence get gradients. The journal shows accuracy on clean images. A Penalised model,
    such as one with a temperature, adds only the penalty of the attacked half, which it sees last.

    The defaults are the authors' for MNIST; `trades_cifar10` has those for CIFAR-10.
    """

    epochs: Epochs = 100
    batch_size: BatchSize = 128
    optimiser: Optimiser = "sgd"
    lr: LearningRate = 0.01
    schedule: Schedule = "milestones"
    # the authors drop lr from epochs 55, 75 and 90 on, counted from 1
    milestones: Milestones = (54, 74, 89)
    attack: InnerAttack = default("attack", "pgd", eps=0.3, steps=40, step_size=0.01)

    _attack_maximises_the_divergence = model_validator(mode="after")(require_divergence_attack)

    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """The augmented images, clean and then attacked, x (2 B, C, H, W)."""
        batch = self.augment(batch, rng)
        return attack_divergence(self.attack, net, batch, progress, rng, ramp=self.ramp)
