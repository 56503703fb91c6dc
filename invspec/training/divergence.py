"""The loss of TRADES and the attack that goes with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, TypeVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from invspec.data import Batch
from invspec.kinds import Attack, Number
from invspec.ops.draws import Stream
from invspec.registry.methods import resolve_shipped
from invspec.search.gradients import logits_of
from invspec.training.adversarial import CleanFraction, InnerAttack, Ramp, attack_batch
from invspec.training.loss import StepLoss
from invspec.training.modes import attackable
from invspec.training.prepared import PreparedTraining

Beta = Annotated[
    Number, Field(ge=0, description="weight of the divergence, 1 / lambda in the paper")
]

# Standard deviation of the noise at the start: at x, the divergence and its gradient are 0
START_NOISE = 0.001


class DivergenceTraining(PreparedTraining):
    """Base class of trainings with TRADES' loss; their `prepare` ends in `attack_divergence`.

    A subclass registers `require_divergence_attack` as a validator, after its own checks.
    """

    attack: InnerAttack
    clean_fraction: CleanFraction = 0.0
    ramp: Ramp = 0.0
    beta: Beta = 1.0

    def loss(self, net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
        """The loss of one update on a batch of clean and attacked images."""
        return trades_loss(net, batch, rng, beta=self.beta)


ByDivergence = TypeVar("ByDivergence", bound=DivergenceTraining)


def require_divergence_attack(training: ByDivergence) -> ByDivergence:
    """The training. Raises ValueError unless its attack can maximise the divergence."""
    attack, clean_fraction = training.attack, training.clean_fraction
    # the attack is given soft labels and a start, which other settings and attacks would ignore
    required = {"loss": "ce", "label": "true", "restarts": 1}
    if not isinstance(attack, resolve_shipped("attack", "pgd")) or any(
        getattr(attack, name) != value for name, value in required.items()
    ):
        raise ValueError(
            "TRADES attacks its own divergence; attack must be a pgd with loss ce, label true and "
            "restarts 1"
        )
    if clean_fraction:
        raise ValueError(
            f"TRADES learns from clean and attacked images; clean_fraction must be 0, found "
            f"{clean_fraction:g}"
        )
    return training


def attack_divergence(
    attack: Attack, net: nn.Module, batch: Batch, progress: float, rng: Stream, *, ramp: float
) -> Batch:
    """The clean images and then the attacked ones, x (2 B, C, H, W); y (B,) labels both halves.

    An attack that maximises the cross-entropy with soft labels f(x) maximises KL(f(x) || .): they
    differ by a constant.
    """
    start = batch.x + START_NOISE * rng.normal(tuple(batch.x.shape)).to(batch.x)
    with attackable(net):
        probs = logits_of(net, batch.x).softmax(1)
    soft = replace(batch, y=probs, start=start)
    x_adv = attack_batch(attack, net, soft, progress, rng, ramp=ramp).x
    return replace(batch, x=torch.cat([batch.x, x_adv]))


def trades_loss(net: nn.Module, batch: Batch, rng: Stream, *, beta: float) -> StepLoss:
    """Cross-entropy of the clean half + beta KL(f(x) || f(x_adv)); both arguments get gradients.

    The halves go through the net separately, so that each has its own batch norm statistics.
    """
    clean, adv = (net(x) for x in batch.x.chunk(2))
    # kl_div takes its arguments in reverse: this is KL(clean || adv)
    divergence = F.kl_div(
        adv.log_softmax(1), clean.log_softmax(1), reduction="batchmean", log_target=True
    )
    return StepLoss(F.cross_entropy(clean, batch.y) + beta * divergence, clean)
