"""Projected gradient descent towards confident errors, as of confidence-calibrated adversarial training."""

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
from invspec.ops.norms import per_example, project, size, steepest
from invspec.ops.types import Norm

Place = Literal["zero", "uniform_norm", "gaussian"]
PLACES: tuple[Place, ...] = get_args(Place)


class PGDConf(Attack):
    """Climb the confidence in the strongest wrong class by steps with momentum, taking back those that lower it.

    The gradient, brought to length 1 in l2 or l1 or replaced by its signs in linf, is averaged over the steps with
    weight `momentum`. A step is step_size times that average, then the nearest point of the ball, then of the box. An
    image that is worse is refused, and the example's steps shrink by `backtracking`; the average moves on either way.
    So the last image is the best, its start included. Of several restarts the best is the answer.

    start uniform_norm is an isotropic direction (a Gaussian draw over its own length in the norm), with a length that
    is uniform in [0, eps]; gaussian has the standard deviation eps / (2 ln D) in every pixel; random is one of these
    two or zero. An image costs one forward and one backward pass, since what decides on it also leads on from it.

    There is no warm start along eps, as an error that is found in a small ball is not the most confident one of a
    larger ball.

    Needs batch.y. Returns x_adv (B, C, H, W). eps 0 does not ask the model.

    Deviates: start random is drawn for each example, theirs for a whole batch. Confidences are compared as logarithms,
    which orders them alike, and step sizes have no floor.
    """

    eps: Pixels = Field(default=0.3, ge=0, description="radius of the ball")
    norm: Norm = Field(default="linf", description="shape of the ball: linf, l2 or l1")
    steps: int = Field(default=1000, ge=1, description="number of updates of a run")
    step_size: Pixels = Field(
        default=0.001, gt=0, description="length of the first update, in norm"
    )
    momentum: float = Field(
        default=0.9, ge=0, lt=1, description="weight of earlier directions in a step"
    )
    backtracking: Number = Field(
        default=1.1, ge=1, description="what a refused step divides the step size by"
    )
    loss: Loss = Field(
        default="confidence",
        description="what to climb: confidence (of the strongest wrong class), ce, margin, dlr",
    )
    start: Place | Literal["random"] = Field(
        default="zero",
        description="where a run starts: zero (x), uniform_norm, gaussian, or random (one of the three)",
    )
    restarts: int = Field(default=1, ge=1, description="runs, of which the best counts")

    @model_validator(mode="after")
    def _restarts_that_differ(self) -> Self:
        if self.restarts > 1 and self.start == "zero":
            raise ValueError(
                f"from start zero all {self.restarts} restarts are the same; give one or the other"
            )
        return self

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if self.eps == 0:
            return Perturbed.costing(batch.x, forwards=0, backwards=0)
        best, highest = batch.x, batch.x.new_full((len(batch),), -torch.inf)
        for _ in range(self.restarts):
            x_adv, value = self._climb(model, batch, self._start(batch, rng))
            better = value > highest
            best = torch.where(per_example(better, best), x_adv, best)
            highest = torch.where(better, value.to(highest), highest)
        return Perturbed.costing(best, self.restarts * (self.steps + 1), self.restarts * self.steps)

    def _start(self, batch: Batch, rng: Draws) -> Tensor:
        if self.start == "zero":
            return batch.x
        x, count = batch.x, len(batch)
        noise, share = rng.normal(tuple(x.shape)).to(x), rng.uniform((count,)).to(x)
        even = noise * per_example(self.eps * share / size(noise, self.norm), noise)
        gaussian = noise * (self.eps / (2 * math.log(max(x[0].numel(), 2))))
        places = torch.stack([torch.zeros_like(x), even, gaussian])
        if self.start == "random":
            chosen = rng.integers(len(PLACES), (count,)).to(x.device)
        else:
            chosen = torch.full((count,), PLACES.index(self.start), device=x.device)
        return self._nearest(batch, x + places[chosen, torch.arange(count, device=x.device)])

    def _climb(self, model: nn.Module, batch: Batch, x_adv: Tensor) -> tuple[Tensor, Tensor]:
        """Where a run ends, and how high, (B,)."""
        value, gradient = self._look(model, x_adv, batch.y, with_gradient=True)
        average, step_size = torch.zeros_like(x_adv), x_adv.new_full((len(batch),), self.step_size)
        for step in range(self.steps):
            average = self.momentum * average + (1 - self.momentum) * _unit(gradient, self.norm)
            candidate = self._nearest(batch, x_adv + per_example(step_size, x_adv) * average)
            found, slope = self._look(
                model, candidate, batch.y, with_gradient=step + 1 < self.steps
            )
            accepted = found >= value
            x_adv = torch.where(per_example(accepted, x_adv), candidate, x_adv)
            gradient = torch.where(per_example(accepted, x_adv), slope, gradient)
            value = torch.where(accepted, found, value)
            step_size = torch.where(accepted, step_size, step_size / self.backtracking)
        return x_adv, value

    def _look(
        self, model: nn.Module, x: Tensor, y: Tensor, *, with_gradient: bool
    ) -> tuple[Tensor, Tensor]:
        """What is climbed (B,), and its gradient (B, C, H, W); without a backward pass that is 0."""
        leaf = x.detach().requires_grad_(with_gradient)
        with torch.set_grad_enabled(with_gradient):
            values = LOSSES[self.loss](model(leaf), y)
        if not with_gradient:
            return values, torch.zeros_like(x)
        return values.detach(), torch.autograd.grad(values.sum(), leaf)[0]

    def _nearest(self, batch: Batch, x_adv: Tensor) -> Tensor:
        """Into the ball, then into the box; the box only shortens."""
        return (batch.x + project(x_adv - batch.x, self.eps, self.norm)).clamp(*batch.bounds)


def _unit(gradient: Tensor, norm: Norm) -> Tensor:
    """The gradient (B, ...) as a direction: its signs in linf, else itself at length 1."""
    if norm != "l1":
        return steepest(gradient, norm)
    direction = steepest(gradient, "l2")  # whose entries do not underflow
    return direction / per_example(size(direction, "l1"), direction).clamp_min(
        torch.finfo(direction.dtype).tiny
    )
