"""The curriculum of CuSP with the loss of TRADES."""

from __future__ import annotations

from pydantic import model_validator
from torch import nn

from invspec.data import Batch
from invspec.ops.draws import Stream
from invspec.registry.fields import default
from invspec.training.adversarial import InnerAttack
from invspec.training.curriculum import (
    CIFAR10_STAGES,
    Stages,
    require_stages_decide,
    stage_at,
)
from invspec.training.divergence import (
    DivergenceTraining,
    attack_divergence,
    require_divergence_attack,
)
from invspec.training.fields import BatchSize, Epochs, LearningRate, Optimiser


class CuSPTRADES(DivergenceTraining):
    """TRADES on rotated images; a stage sets the rotations and the ball of the divergence attack.

    Stages work as in CuSP, the loss as in TRADES. The optimiser's defaults are those of CuSP; the
    card `cusp_trades` has the paper's recipe for CIFAR-10.
    """

    epochs: Epochs = 91
    batch_size: BatchSize = 50
    optimiser: Optimiser = "adam"
    lr: LearningRate = 1e-4
    attack: InnerAttack = default("attack", "pgd", eps=8 / 255, steps=10, step_size=0.007)
    stages: Stages = CIFAR10_STAGES

    # stages first, so that an attack without eps is refused for that reason
    _stages_decide = model_validator(mode="after")(require_stages_decide)
    _attack_maximises_the_divergence = model_validator(mode="after")(require_divergence_attack)

    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """Images with the stage's rotations, clean and then attacked, x (2 B, C, H, W)."""
        stage = stage_at(self.stages, progress)
        attack, batch = stage.limited(self.attack), stage.rotating(self).augment(batch, rng)
        return attack_divergence(attack, net, batch, progress, rng, ramp=self.ramp)
