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
    """One step of length eps along the steepest ascent of the cross-entropy, from x itself.

    norm linf is the method of the paper; l2 takes the normalised gradient instead of its sign. A linear model's
    optimum is reached exactly. Returns x_adv (B, C, H, W).
    """

    eps: Pixels = Field(default=0.3, ge=0, description="length of the step, in units of eps_space")
    norm: Literal["linf", "l2"] = Field(default="linf", description="in which norm: linf or l2")
    label: Label = Field(
        default="true", description="leave the true label, or the one predicted for x"
    )
    eps_space: EpsSpace = Field(
        default="pixel", description="units of eps: pixels, or the model's standardised input"
    )

    @property
    def accepts(self) -> type | None:
        return self._step.accepts

    def unit_of(self, name: str) -> str:
        return self._step.unit_of(name)

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        return self._step.perturb(model, batch, rng)

    @property
    def _step(self) -> PGD:
        return PGD(
            eps=self.eps,
            norm=self.norm,
            steps=1,
            relative_step_size=1,
            random_start=False,
            label=self.label,
            eps_space=self.eps_space,
        )
