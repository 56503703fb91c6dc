"""The fast gradient sign method."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Pixels
from invspec.ops.draws import Draws
from invspec.search.fields import EpsSpace, Label


class FGSM(Attack):
    """One step of length eps from x along the steepest ascent of the cross-entropy.

    Norm linf is the method of the paper; l2 takes the normalised gradient instead of its sign. The
    optimum of a linear model is reached exactly.

    Needs batch.y for label true. Returns x_adv (B, C, H, W). eps 0 skips the model.
    """

    eps: Pixels = Field(default=0.3, ge=0, description="length of the step, in units of eps_space")
    norm: Literal["linf", "l2"] = Field(default="linf", description="norm of the step: linf or l2")
    label: Label = Field(
        default="true", description="label to attack: true, or the one predicted for x"
    )
    eps_space: EpsSpace = Field(
        default="pixel", description="units of eps: pixels, or the model's standardised input"
    )

    @property
    def accepts(self) -> type | None:
        return self._pgd.accepts

    def unit_of(self, name: str) -> str:
        return self._pgd.unit_of(name)

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
        )
