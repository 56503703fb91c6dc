"""The curriculum of CuSP with the loss of TRADES."""

from __future__ import annotations

from functools import partial
from typing import Self

from pydantic import model_validator
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch, Curves, Journal, Split
from invspec.kinds import Defence
from invspec.ops.draws import Stream
from invspec.training.adversarial import CleanFraction, InnerAttack, Ramp
from invspec.training.curriculum import (
    CIFAR10_STAGES,
    Stages,
    require_stages_decide,
    stage_at,
)
from invspec.training.divergence import (
    Beta,
    attack_divergence,
    require_divergence_attack,
    trades_loss,
)
from invspec.training.fields import BatchSize, Epochs, LearningRate, Optimiser
from invspec.training.loop import fit
from invspec.training.recipe import Recipe


class CuSPTRADES(Recipe, Defence):
    """TRADES on rotated images; a stage sets the rotations and the ball of the divergence attack.

    Stages work as in CuSP, the loss as in TRADES. The optimiser's defaults are those of CuSP; the
    card `cusp_trades` has the paper's recipe for CIFAR-10.
    """

    epochs: Epochs = 91
    batch_size: BatchSize = 50
    optimiser: Optimiser = "adam"
    lr: LearningRate = 1e-4
    attack: InnerAttack = PGD(eps=8 / 255, steps=10, step_size=0.007)
    clean_fraction: CleanFraction = 0.0
    ramp: Ramp = 0.0
    stages: Stages = CIFAR10_STAGES
    beta: Beta = 1.0

    @model_validator(mode="after")
    def _stages_decide(self) -> Self:
        require_stages_decide(self.max_degrees, self.attack)
        return self

    @model_validator(mode="after")
    def _attack_climbs_the_divergence(self) -> Self:
        require_divergence_attack(self.attack, PGD, self.clean_fraction)
        return self

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        loss = partial(trades_loss, beta=self.beta)
        return fit(model, data, rng, journal, self, prepare=self.prepare, loss=loss)

    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """The images augmented as the stage says, clean and then attacked, x (2 B, C, H, W)."""
        stage = stage_at(self.stages, progress)
        attack, batch = stage.limited(self.attack), stage.rotating(self).augment(batch, rng)
        return attack_divergence(attack, net, batch, progress, rng, ramp=self.ramp)
