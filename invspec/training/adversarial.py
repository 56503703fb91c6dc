"""Inner attacks: images that a training attacks before the model learns from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Attack
from invspec.ops.draws import Stream
from invspec.registry.fields import AttackField
from invspec.training.modes import attackable
from invspec.training.precision import searchable

InnerAttack = Annotated[AttackField, Field(description="attack that the model is trained against")]
CleanFraction = Annotated[
    float, Field(ge=0, le=1, description="share of each batch that is not attacked")
]
Ramp = Annotated[
    float,
    Field(ge=0, le=1, description="share of the updates before perturbations reach full size"),
]


def perturbed(attack: Attack, net: nn.Module, batch: Batch, rng: Stream) -> Tensor:
    """x_adv (B, C, H, W) that an attack finds on the current net, in eval mode."""
    with attackable(net), searchable(net, attack) as searched:
        return attack.perturb(searched, batch, rng).x_adv


def ramped(x: Tensor, x_adv: Tensor, progress: float, ramp: float) -> Tensor:
    """x_adv (B, C, H, W), moved towards x while progress is below ramp."""
    return torch.lerp(x, x_adv, progress / ramp) if progress < ramp else x_adv


def attack_batch(
    attack: Attack,
    net: nn.Module,
    batch: Batch,
    progress: float,
    rng: Stream,
    *,
    ramp: float = 0.0,
    clean: float = 0.0,
) -> Batch:
    """The batch, attacked except for its first round(clean * B) images."""
    # batches are shuffled, so the first images are random ones
    first = round(clean * len(batch))
    if first == len(batch):
        return batch
    x_adv = perturbed(attack, net, batch.take(torch.arange(first, len(batch))), rng)
    x_adv = ramped(batch.x[first:], x_adv, progress, ramp)
    return replace(batch, x=torch.cat([batch.x[:first], x_adv]))
