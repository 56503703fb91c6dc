"""Projected gradient descent for confident errors, the attack of confidence-calibrated training."""

from __future__ import annotations

import math
from typing import Literal, Self, get_args

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import LOSSES, Loss
from invspec.ops.norms import per_example, size, steepest
from invspec.ops.types import Norm
from invspec.search.ball import Ball, at_length, eps_0_skips_model
from invspec.search.fields import Eot, FollowsLoss
from invspec.search.search import Search

Place = Literal["zero", "uniform_norm", "gaussian"]
PLACES: tuple[Place, ...] = get_args(Place)


class PGDConf(FollowsLoss, Attack):
    """Ascent on the confidence in the likeliest wrong class, with momentum and backtracking.

    The direction is a moving average of the gradients, the newest with weight 1 - `momentum`; each
    gradient is rescaled to length 1 in l2 and l1, and replaced by its signs in linf. A step is
    step_size times the direction, projected onto the ball and then onto the box. A step that lowers
    the loss is refused, and the example's step size is divided by `backtracking`; the average is
    updated either way. So the last image of a run is its best, including the start. The result is
    the best of all restarts.

    start uniform_norm: an isotropic direction (a Gaussian draw over its length in the norm) and a
    length that is uniform in [0, eps]. start gaussian: standard deviation eps / (2 ln D) in every
    entry. start random: one of these two or zero. An image costs one forward and one backward pass:
    the pass that judges a step also gives the gradient for the next.

    There is no warm start over eps: the most confident error in a small ball is not the most
    confident in a larger one.

    Needs batch.y. Returns x_adv (B, C, H, W). eps 0 returns x without running the model.

    Deviates: start random is drawn per example, theirs per batch. Confidences are compared as
    logarithms, which have the same order, and step sizes have no lower limit.
    """

    eps: Pixels = Field(default=0.3, ge=0, description="radius of the ball")
    norm: Norm = Field(default="linf", description="shape of the ball: linf, l2 or l1")
    steps: int = Field(default=1000, ge=1, description="number of updates of a run")
    step_size: Pixels = Field(default=0.001, gt=0, description="length of the first update in norm")
    momentum: float = Field(
        default=0.9, ge=0, lt=1, description="weight of earlier gradients in the direction"
    )
    backtracking: Number = Field(
        default=1.1, ge=1, description="divisor of the step size after a refused step"
    )
    loss: Loss = Field(
        default="confidence",
        description="loss to maximise: confidence (of the likeliest other class), ce, margin, dlr",
    )
    start: Place | Literal["random"] = Field(
        default="zero",
        description="first image: zero (x), uniform_norm, gaussian, or random (one of the three)",
    )
    restarts: int = Field(default=1, ge=1, description="number of runs; the best is kept")
    eot: Eot = None

    @model_validator(mode="after")
    def _restarts_that_differ(self) -> Self:
        if self.restarts > 1 and self.start == "zero":
            raise ValueError(
                f"with start zero all {self.restarts} restarts are equal; set another start"
            )
        return self

    @eps_0_skips_model
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search, ball = Search(model, batch, eot=self.eot), Ball(self.norm, self.eps, batch.bounds)
        for _ in range(self.restarts):
            x_adv, value = self._climb(search, ball, self._start(batch.x, ball, rng))
            search.offer(x_adv, value)
        return search.result()

    def _start(self, x: Tensor, ball: Ball, rng: Draws) -> Tensor:
        """The first images (B, C, H, W) of a run."""
        if self.start == "zero":
            return x
        count = len(x)
        noise, share = rng.normal(tuple(x.shape)).to(x), rng.uniform((count,)).to(x)
        uniform_norm = at_length(noise, self.eps * share, self.norm)
        gaussian = noise * (self.eps / (2 * math.log(max(x[0].numel(), 2))))
        places = torch.stack([torch.zeros_like(x), uniform_norm, gaussian])
        if self.start == "random":
            place = rng.integers(len(PLACES), (count,)).to(x.device)
        else:
            place = torch.full((count,), PLACES.index(self.start), device=x.device)
        return ball.project(x + places[place, torch.arange(count, device=x.device)], x)

    def _climb(self, search: Search, ball: Ball, x_adv: Tensor) -> tuple[Tensor, Tensor]:
        """One run: its last image (B, C, H, W), which is its best, and the loss there, (B,)."""
        objective = LOSSES[self.loss]
        _, value, gradient = search.evaluate(objective, x_adv)
        average, step_size = torch.zeros_like(x_adv), x_adv.new_full((len(x_adv),), self.step_size)
        for step in range(self.steps):
            # also after a refused step, as in the authors' code: another direction is tried next
            average = self.momentum * average + (1 - self.momentum) * unit(gradient, self.norm)
            candidate = ball.project(x_adv + per_example(step_size, x_adv) * average, search.x)
            last = step + 1 == self.steps
            _, reached, slope = search.evaluate(objective, candidate, gradient=not last)
            # >=: a step along a plateau is not refused
            accepted = reached >= value
            x_adv = torch.where(per_example(accepted, x_adv), candidate, x_adv)
            value = torch.where(accepted, reached, value)
            gradient = torch.where(per_example(accepted, x_adv), slope, gradient)
            step_size = torch.where(accepted, step_size, step_size / self.backtracking)
        return x_adv, value


def unit(gradient: Tensor, norm: Norm) -> Tensor:
    """The gradient (B, ...) as a direction: its signs in linf, else rescaled to length 1."""
    if norm != "l1":
        return steepest(gradient, norm)
    # in l2 first, because entries of the gradient itself may underflow
    direction = steepest(gradient, "l2")
    tiny = torch.finfo(direction.dtype).tiny
    return direction / per_example(size(direction, "l1"), direction).clamp_min(tiny)
