"""Decoupled direction and norm."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Number, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import LOSSES
from invspec.ops.norms import per_example, size, steepest
from invspec.search.fields import Ascended, FollowsLoss, Rivals
from invspec.search.gradients import Objective
from invspec.search.minimal_norm import MinimalNorm, Nearest, ascent, cosine


class DDN(FollowsLoss, MinimalNorm):
    """Move on a sphere around x that shrinks while the image on it is adversarial, else grows.

    Each step moves along the normalised gradient of the loss, by a length that follows a cosine
    schedule from 1 to 0.01, and rescales the perturbation to the radius (Algorithm 1). A vanished
    gradient is replaced by a random direction, the same at every step. The result is the nearest
    adversarial image of all steps.

    Returns x_adv (B, C, H, W): x where x is already misclassified or nothing adversarial was found.

    Deviates: the image after the last step is judged too, and the result is refined (`refine`).
    Images are quantised only if `levels` is set; the paper uses 256. Where several classes are
    likely, the gradient of the paper's loss, ce, mixes them and misses the nearest point of the
    boundary; margin and `rivals` target one class at a time.
    """

    norm: Literal["l2"] = Field(
        default="l2", description="norm of the perturbation to minimise; DDN supports l2 only"
    )
    init_eps: Pixels = Field(default=1.0, gt=0, description="radius of the first sphere")
    gamma: Number = Field(
        default=0.05, gt=0, lt=1, description="relative change of the radius in one update"
    )
    loss: Ascended = "ce"
    levels: int | None = Field(
        default=None,
        ge=2,
        description="round pixels to this many equally spaced values; default: no rounding",
    )
    steps: int = Field(default=100, ge=1, description="number of updates")
    rivals: Rivals = 0

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        nearest = Nearest.begin(self, model, batch, rng, self.norm, self.levels)
        for objective in nearest.objectives(LOSSES[self.loss], self.rivals):
            self._climb(nearest, objective)
        return nearest.refined(self.refine)

    def _climb(self, nearest: Nearest, objective: Objective) -> None:
        search, x = nearest.search, nearest.search.x
        x_adv, eps = x, x.new_full((len(x),), self.init_eps)
        low, high = search.batch.bounds
        # Distance to the farthest corner of the box: larger spheres contain no valid image.
        farthest = size(torch.maximum(x - low, high - x), "l2")
        for step in range(self.steps):
            logits, gradient = search.logits_and_gradient(objective, x_adv)
            adversarial = logits.argmax(1) != search.y
            nearest.offer(x_adv, adversarial)
            eps = (eps * torch.where(adversarial, 1 - self.gamma, 1 + self.gamma)).minimum(farthest)
            step_size = cosine(1, 0.01, step, self.steps)
            delta = x_adv - x + step_size * ascent(gradient, nearest.fallback)
            x_adv = nearest.valid(x + per_example(eps, x) * steepest(delta, "l2"))
        nearest.judge(x_adv)
