"""One attack after another."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field
from torch import nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import Draws
from invspec.ops.losses import Loss
from invspec.registry.fields import AttackField


class Composed(Attack):
    """Run an attack, and then another one on its results: the second ball is around those.

    So a rotated and shifted image can be changed pixel by pixel, too. The passes of both count. The
    result of the second attack is kept even if only the first one fooled the model, which a second
    attack that climbs the loss does not undo as a rule. Both search in the precision of the spec,
    even if one needs float32. A generator sees the images before the first attack.

    Needs batch.y, batch.x_target and batch.generated if either attack does. Returns x_adv
    (B, C, H, W).
    """

    first: AttackField = Field(description="attack of the images")
    then: AttackField = Field(description="attack of the results of the first")

    @property
    def accepts(self) -> type | None:
        return self.first.accepts or self.then.accepts

    @property
    def gradient_loss(self) -> Loss | None:
        return self.then.gradient_loss or self.first.gradient_loss

    @property
    def least_classes(self) -> int:
        return max(self.first.least_classes, self.then.least_classes)

    @property
    def wants_target(self) -> bool:
        return self.first.wants_target or self.then.wants_target

    @property
    def wants_generator(self) -> bool:
        return self.first.wants_generator or self.then.wants_generator

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        moved = self.first.perturb(model, replace(batch, start=None), rng)
        result = self.then.perturb(model, replace(batch, x=moved.x_adv, start=None), rng)
        return Perturbed(
            result.x_adv, moved.forwards + result.forwards, moved.backwards + result.backwards
        )
