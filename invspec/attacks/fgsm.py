"""The fast gradient sign method."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import Loss
from invspec.search.fields import Eot, EpsSpace, Label


class FGSM(Attack):
    """One step of length eps from x along the steepest ascent of the cross-entropy.

    Norm linf is the paper's method; l2 uses the normalised gradient instead of its sign. For a
    linear model this is the optimum, in l2 only where nothing is clipped.

    Needs batch.y if label is true. Returns x_adv (B, C, H, W). eps 0 returns x without running the
    model.
    """

    eps: Pixels = Field(default=0.3, ge=0, description="length of the step, in units of eps_space")
    norm: Literal["linf", "l2"] = Field(default="linf", description="norm of the step: linf or l2")
    label: Label = Field(
        default="true", description="label to attack: true, or predicted by the model"
    )
    eps_space: EpsSpace = Field(
        default="pixel", description="units of eps: pixels, or the model's standardised input"
    )
    eot: Eot = None

    @property
    def accepts(self) -> type | None:
        return self._pgd.accepts

    def unit_of(self, name: str) -> str:
        return self._pgd.unit_of(name)

    @property
    def gradient_loss(self) -> Loss | None:
        return self._pgd.gradient_loss

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        return self._pgd.perturb(model, batch, rng)

    @property
    def _pgd(self) -> PGD:
        """The method as PGD with a single step."""
        return PGD(
            eps=self.eps,
            norm=self.norm,
            steps=1,
            relative_step_size=1,
            random_start=False,
            label=self.label,
            eps_space=self.eps_space,
            eot=self.eot,
        )
