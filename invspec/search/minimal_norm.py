"""What attacks share that look for the nearest adversarial image, in no ball."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import Draws
from invspec.ops.norms import Metric, per_example, project, size, steepest
from invspec.search.fields import Label
from invspec.search.gradients import Objective, logits_of
from invspec.search.survivors import likeliest_others


@dataclass(frozen=True)
class Nearest:
    """The nearest adversarial images x_adv (B, C, H, W) found so far; where there is none, x, at distance (B,) inf."""

    x: Tensor
    norm: Metric
    x_adv: Tensor
    distance: Tensor

    @classmethod
    def to(cls, x: Tensor, norm: Metric) -> Nearest:
        """Nothing found yet."""
        return cls(x, norm, x.clone(), x.new_full((len(x),), torch.inf))

    def offer(self, candidates: Tensor, adversarial: Tensor) -> None:
        """Keep candidates (B, C, H, W) that are adversarial (B,) bool and nearer than what is there."""
        distance = size(candidates - self.x, self.norm)
        nearer = adversarial & (distance < self.distance)
        self.x_adv[nearer], self.distance[nearer] = candidates[nearer], distance[nearer]

    @property
    def found(self) -> Tensor:
        """For which examples there is one, (B,) bool."""
        return self.distance.isfinite()


@dataclass(frozen=True)
class Searched:
    """What a search found, and how often the model saw each example, (B,) or the same for all."""

    nearest: Nearest
    forwards: Tensor | int
    backwards: Tensor | int


class MinimalNorm(Attack):
    """A search for the adversarial image that is nearest to x, whatever its distance.

    One forward pass settles who is misclassified already: x itself is the answer then, at distance 0. x is also the
    answer where nothing was found, so that a prediction that stays marks a failure. After the search, `refine`
    halvings of the segment from x to the image found look for an adversarial image nearer to x; of l0, they halve the
    number of changed entries instead, the smallest going first. They cost a forward pass each.
    """

    needs_float32: ClassVar[bool] = True

    label: Label = Field(
        default="true", description="leave the true label, or the one predicted for x"
    )
    refine: int = Field(
        default=10, ge=0, le=20, description="halvings of the way back to x; 0: as in the paper"
    )

    @abstractmethod
    def _search(self, model: nn.Module, batch: Batch, fallback: Tensor) -> Searched:
        """Search from batch.x, all of which are predicted batch.y; fallback (B, C, H, W) is a random direction."""

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        fallback = rng.normal(tuple(batch.x.shape)).to(batch.x)
        prediction = logits_of(model, batch.x).argmax(1)
        y = prediction if self.label == "predicted" else batch.y
        result = Perturbed.costing(batch.x.clone(), forwards=1, backwards=0)
        rows = (prediction == y).nonzero().squeeze(1)
        if len(rows):
            active = replace(batch, y=y).take(rows)
            searched = self._search(model, active, fallback[rows])
            self._refine(model, active, searched.nearest)
            result.x_adv[rows] = searched.nearest.x_adv
            result.forwards[rows] += searched.forwards + self.refine
            result.backwards[rows] += searched.backwards
        return result

    def _refine(self, model: nn.Module, batch: Batch, nearest: Nearest) -> None:
        """Bisect between x, which is not adversarial, and what was found."""
        delta = nearest.x_adv - batch.x
        low, high = torch.zeros_like(nearest.distance), torch.ones_like(nearest.distance)
        for _ in range(self.refine):
            share = (low + high) / 2
            candidates = self._valid(batch, batch.x + shrink(delta, share, nearest.norm))
            left = logits_of(model, candidates).argmax(1) != batch.y
            nearest.offer(candidates, left)
            low, high = torch.where(left, low, share), torch.where(left, share, high)

    def _valid(self, batch: Batch, x_adv: Tensor) -> Tensor:
        """The nearest image that there can be."""
        return x_adv.clamp(*batch.bounds)


class Walk(MinimalNorm):
    """A search that climbs a loss for a fixed number of steps.

    It may climb again for each of some rivals, the likeliest other classes: their logit less the label's. The nearest
    image of all is kept. The loss alone leads to the class that gains first, which need not be the nearest.
    """

    steps: int = Field(default=100, ge=1, description="number of updates")
    rivals: int = Field(
        default=0, ge=0, description="likeliest other classes, each climbed to by itself besides"
    )

    @property
    @abstractmethod
    def _objective(self) -> Objective:
        """The loss of the paper."""

    @abstractmethod
    def _walk(
        self, model: nn.Module, batch: Batch, fallback: Tensor, objective: Objective
    ) -> Nearest:
        """Climb once: a forward and a backward pass a step, and a forward pass to judge the last image."""

    def _search(self, model: nn.Module, batch: Batch, fallback: Tensor) -> Searched:
        nearest = self._walk(model, batch, fallback, self._objective)
        others = self._rivals(model, batch).unbind(1)
        for rival in others:
            towards = self._walk(model, batch, fallback, gain_of(rival))
            nearest.offer(towards.x_adv, towards.found)
        walks = 1 + len(others)
        forwards = walks * (self.steps + 1) + (self.rivals > 0)
        return Searched(nearest, forwards, backwards=walks * self.steps)

    def _rivals(self, model: nn.Module, batch: Batch) -> Tensor:
        """The classes to climb to, (B, rivals); where there are any, they cost a forward pass."""
        if not self.rivals:
            return batch.y.new_empty(len(batch), 0)
        return likeliest_others(logits_of(model, batch.x), batch.y, self.rivals)


def gain_of(rival: Tensor) -> Objective:
    """The logit of a class (B,) less that of the label."""
    return lambda logits, y: (
        logits.gather(1, rival.unsqueeze(1)) - logits.gather(1, y.unsqueeze(1))
    ).squeeze(1)


def shrink(delta: Tensor, share: Tensor, norm: Metric) -> Tensor:
    """A perturbation of share (B,) times the length of delta (B, ...); of l0, with so many of its largest entries."""
    if norm == "l0":
        return project(delta, share * size(delta, "l0"), "l0")
    return per_example(share, delta) * delta


def ascent(gradient: Tensor, fallback: Tensor) -> Tensor:
    """Directions of l2 length 1: of the gradient (B, ...), or of fallback (B, ...) where the gradient is 0."""
    vanished = per_example(size(gradient, "linf") == 0, gradient)
    return steepest(torch.where(vanished, fallback, gradient), "l2")


def cosine(first: float, last: float, step: int, steps: int) -> float:
    """Half a period of a cosine, from first at step 0 to last at step `steps`."""
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2
