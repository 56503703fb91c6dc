"""Training for accuracy on clean images and for stable predictions around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.defences.cusp import CuSP
from invspec.kinds import Number
from invspec.ops.draws import Stream
from invspec.search.gradients import logits_of
from invspec.training.fields import BatchSize, Epochs, LearningRate, Optimiser, Schedule
from invspec.training.modes import attackable

NOISE = 0.001  # deviation of the start, at which the divergence, 0 at x itself, has a gradient


class TRADES(AdversarialTraining):
    """Cross-entropy of the clean images + beta KL(f(x) || f(x_adv)), with x_adv where that divergence is largest.

    The attack climbs the divergence in eval mode, from x with normal noise of deviation 0.001: it is a PGD whose labels
    are the probabilities f(x), since KL(f(x) || .) and the cross-entropy with f(x) differ by a constant. The clean and
    the attacked half pass the net in train mode one after the other, so that batch norm sees each by itself, and both
    arguments of the divergence are learnt. Accuracy in the journal is that on clean images. A Penalised model, like one
    with a temperature, adds the penalty of the half that it sees last: the attacked one only.

    The defaults are the authors' for MNIST; `trades_cifar10` has those for CIFAR-10.
    """

    epochs: Epochs = 100
    batch_size: BatchSize = 128
    optimiser: Optimiser = "sgd"
    lr: LearningRate = 0.01
    schedule: Schedule = "milestones"
    milestones: tuple[int, ...] = Field(
        default=(54, 74, 89), description="schedule milestones: epochs after which lr drops"
    )
    beta: Number = Field(
        default=1.0, ge=0, description="weight of the divergence, the paper's 1 / lambda"
    )

    @model_validator(mode="after")
    def _climbs_the_divergence(self) -> Self:
        attack = self.attack
        if not isinstance(attack, PGD) or (attack.loss, attack.label, attack.restarts) != (
            "ce",
            "true",
            1,
        ):
            raise ValueError(
                "TRADES climbs its own divergence; its attack is a pgd with loss ce and restarts 1"
            )
        if self.clean_fraction:
            raise ValueError(
                f"TRADES learns every image clean and attacked; clean_fraction is {self.clean_fraction:g}"
            )
        return self

    def attacked(self, model: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """The clean images and behind them the attacked ones, x (2 B, C, H, W); y (B,) is of both."""
        start = batch.x + NOISE * rng.normal(tuple(batch.x.shape)).to(batch.x)
        with attackable(model):
            probs = logits_of(model, batch.x).softmax(1)
        found = super().attacked(model, replace(batch, y=probs, start=start), progress, rng)
        return replace(batch, x=torch.cat([batch.x, found.x]))

    def loss(self, net: nn.Module, prepared: Batch) -> tuple[Tensor, Tensor]:
        clean, adv = (net(x) for x in prepared.x.chunk(2))
        divergence = F.kl_div(
            adv.log_softmax(1), clean.log_softmax(1), reduction="batchmean", log_target=True
        )
        return F.cross_entropy(clean, prepared.y) + self.beta * divergence, clean


class CuSPTRADES(CuSP, TRADES):
    """CuSP with the loss of TRADES: a stage sets the rotations and the ball in which the divergence is climbed.

    Its defaults are those of TRADES and of CuSP's stages; the card `cusp_trades` holds the recipe for CIFAR-10.
    """
