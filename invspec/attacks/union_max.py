"""The worst of several attacks."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from invspec.attacks.msd import MSD, Ball, Best
from invspec.attacks.pgd import PGD
from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import Draws
from invspec.ops.losses import LOSSES, Loss
from invspec.registry.fields import AttackField
from invspec.search.gradients import logits_of


class UnionMax(Attack):
    """Run every attack on every example, and keep per example the image of largest loss, the first of equal ones.

    By the margin that is a misclassified image wherever an attack found one, so that the accuracy left is that under
    all attacks at once; Maini et al.'s training compares by cross-entropy. Each attack costs what it costs alone, and a
    forward pass to judge what it found; a single one is not judged. An attack whose eps is 0 is left out. All search in
    the precision of the spec, needs_float32 ones too.

    The default attacks are Maini et al.'s on MNIST. Their l1 attack moves a random number of pixels a step; MSD with
    the l1 ball alone is that attack, and keeps its best image.

    Needs batch.y. Returns x_adv (B, C, H, W).

    Deviates: linf and l2 start at random, as PGD does; the authors' training sets out from x.
    """

    attacks: tuple[AttackField, ...] = Field(
        default=(
            PGD(norm="linf", eps=0.3, step_size=0.01, steps=50),
            PGD(norm="l2", eps=2.0, step_size=0.1, steps=100),
            MSD(balls=(Ball(norm="l1", eps=10, step_size=1.0),), steps=100),
        ),
        min_length=1,
        description="what is tried on every example",
    )
    loss: Loss = Field(default="margin", description="by what they are compared: margin, ce or dlr")

    @property
    def accepts(self) -> type | None:
        return next(filter(None, (attack.accepts for attack in self.attacks)), None)

    @property
    def wants_target(self) -> bool:
        return any(attack.wants_target for attack in self.attacks)

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        attacks = [attack for attack in self.attacks if getattr(attack, "eps", None) != 0]
        if not attacks:
            return Perturbed.costing(batch.x, forwards=0, backwards=0)
        if len(attacks) == 1:
            return attacks[0].perturb(model, batch, rng)
        worst = Best(batch.x, batch.x.new_full((len(batch),), -torch.inf))
        forwards, backwards = torch.zeros_like(batch.y), torch.zeros_like(batch.y)
        for attack in attacks:
            found = attack.perturb(model, batch, rng)
            worst.offer(found.x_adv, LOSSES[self.loss](logits_of(model, found.x_adv), batch.y))
            forwards, backwards = forwards + found.forwards + 1, backwards + found.backwards
        return Perturbed(worst.x_adv, forwards, backwards)
