"""Decoupled direction and norm."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Number, Pixels
from invspec.ops.losses import LOSSES, Loss
from invspec.ops.norms import per_example, size, steepest
from invspec.search.gradients import Objective, logits_and_gradient, logits_of
from invspec.search.minimal_norm import Nearest, Walk, ascent, cosine


class DDN(Walk):
    """Walk on a sphere around x whose radius shrinks while the image on it is adversarial, and grows while it is not.

    Each step moves along the normalised gradient of the loss, by a length that a cosine takes from 1 to 0.01, and
    rescales the perturbation to the radius (Algorithm 1); a vanished gradient is replaced by a random direction, the
    same at every step. The nearest adversarial image of all is the answer.

    Returns x_adv (B, C, H, W), which is x for examples that are misclassified already and where nothing was found.

    Deviates: the image after the last step is judged too, and the answer is refined (`refine`). Images are
    quantised only where `levels` says so; the paper has 256. With loss ce, the paper's, the gradient is a mixture of
    all classes' and leads past the nearest point of the boundary where several are likely; margin and `rivals` climb
    one class at a time.
    """

    norm: Literal["l2"] = Field(
        default="l2", description="how distance is measured; the method is one for l2"
    )
    init_eps: Pixels = Field(default=1.0, gt=0, description="radius of the first sphere")
    gamma: Number = Field(
        default=0.05, gt=0, lt=1, description="share by which the radius changes in one update"
    )
    loss: Loss = Field(
        default="ce",
        description="what to climb: ce, margin, dlr (Croce and Hein 2020) or confidence",
    )
    levels: int | None = Field(
        default=None, ge=2, description="round pixels to so many equidistant values; default: no"
    )

    @property
    def _objective(self) -> Objective:
        return LOSSES[self.loss]

    def _walk(
        self, model: nn.Module, batch: Batch, fallback: Tensor, objective: Objective
    ) -> Nearest:
        x, y = batch.x, batch.y
        nearest, x_adv, eps = Nearest.to(x, "l2"), x, x.new_full((len(x),), self.init_eps)
        low, high = batch.bounds
        farthest = size(torch.maximum(x - low, high - x), "l2")
        for step in range(self.steps):
            logits, gradient = logits_and_gradient(model, objective, x_adv, y)
            left = logits.argmax(1) != y
            nearest.offer(x_adv, left)
            eps = (eps * torch.where(left, 1 - self.gamma, 1 + self.gamma)).minimum(farthest)
            delta = x_adv - x + cosine(1, 0.01, step, self.steps) * ascent(gradient, fallback)
            x_adv = self._valid(batch, x + per_example(eps, x) * steepest(delta, "l2"))
        nearest.offer(x_adv, logits_of(model, x_adv).argmax(1) != y)
        return nearest

    def _valid(self, batch: Batch, x_adv: Tensor) -> Tensor:
        x_adv = super()._valid(batch, x_adv)
        if self.levels is None:
            return x_adv
        low, high = batch.bounds
        spacing = (high - low) / (self.levels - 1)
        return (low + spacing * ((x_adv - low) / spacing).round()).clamp(low, high)
