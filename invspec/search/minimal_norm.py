"""Searches for the nearest adversarial image, without a ball."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import Draws
from invspec.ops.norms import Metric, per_example, project, size, steepest
from invspec.search.fields import Label
from invspec.search.gradients import Objective, lead_of, likeliest_others
from invspec.search.search import Search


class MinimalNorm(Attack):
    """Base class of minimum-norm attacks, with the fields they share.

    The result is x where x is already misclassified, at distance 0, and where no adversarial image
    was found: a prediction equal to the label marks a failure. At the end, `refine` bisections of
    the segment from x to the image found look for a nearer adversarial image; for l0, they bisect
    the number of changed entries and undo the smallest changes first. Each bisection costs a
    forward pass.
    """

    needs_float32: ClassVar[bool] = True

    label: Label = Field(
        default="true", description="label to attack: true, or predicted by the model"
    )
    refine: int = Field(
        default=10,
        ge=0,
        le=20,
        description="final bisections back towards x; 0: none, as in the paper",
    )


class Nearest:
    """The nearest adversarial images found so far, for the active examples of a search.

    The score of the search is minus the distance from x in the norm. fallback (M, C, H, W) holds
    random directions that replace vanished gradients. levels: number of equally spaced values to
    which pixels are rounded.
    """

    def __init__(
        self, search: Search, norm: Metric, fallback: Tensor, levels: int | None = None
    ) -> None:
        self.search, self.fallback, self.levels = search, fallback, levels
        self.norm: Metric = norm

    @classmethod
    def begin(
        cls,
        attack: MinimalNorm,
        model: nn.Module,
        batch: Batch,
        rng: Draws,
        norm: Metric,
        levels: int | None = None,
    ) -> Nearest:
        """The initial state; examples that are already misclassified have left, with result x."""
        # drawn for the whole batch: an example's direction must not depend on which others are
        # active
        fallback = rng.normal(tuple(batch.x.shape)).to(batch.x)
        search = Search(model, batch)
        prediction = search.logits(batch.x).argmax(1)
        if attack.label == "predicted":
            search.relabel(prediction)
        search.narrow(prediction == search.y)
        return cls(search, norm, search.pick(fallback), levels)

    @property
    def distance(self) -> Tensor:
        """Distance (M,) from x to the nearest adversarial image, inf where none was found."""
        return -self.search.score

    @property
    def found(self) -> Tensor:
        """Whether an adversarial image was found, (M,) bool."""
        return self.search.score.isfinite()

    def offer(self, x_adv: Tensor, adversarial: Tensor) -> None:
        """Keep images (M, C, H, W) that are adversarial (M,) bool and nearer than those so far."""
        distance = size(x_adv - self.search.x, self.norm)
        self.search.offer(x_adv, -distance, among=adversarial)

    def judge(self, x_adv: Tensor) -> Tensor:
        """Offer images (M, C, H, W); returns which are adversarial, (M,) bool."""
        adversarial = self.search.logits(x_adv).argmax(1) != self.search.y
        self.offer(x_adv, adversarial)
        return adversarial

    def valid(self, x_adv: Tensor) -> Tensor:
        """The nearest image within the pixel bounds and, if set, on the levels."""
        low, high = self.search.batch.bounds
        x_adv = x_adv.clamp(low, high)
        if self.levels is None:
            return x_adv
        spacing = (high - low) / (self.levels - 1)
        # clamped once more: low + spacing * (levels - 1) may round to more than high
        return (low + spacing * ((x_adv - low) / spacing).round()).clamp(low, high)

    def inner(self) -> Nearest:
        """A separate search on the active examples, whose result `merge` adds."""
        search = Search(self.search.model, self.search.active)
        return Nearest(search, self.norm, self.fallback, self.levels)

    def merge(self, inner: Nearest) -> None:
        """Add the passes and images of an inner search."""
        result = inner.search.result()
        self.search.include(result)
        # where the inner search found nothing, its image is x
        self.offer(result.x_adv, (result.x_adv != self.search.x).flatten(1).any(1))

    def objectives(self, loss: Objective, rivals: int) -> list[Objective]:
        """The objectives to maximise: the loss, then the lead of each likeliest other class.

        The loss leads to the class that gains first, which need not be the nearest. Rivals, if
        there are any, cost a forward pass. Empty if no example is active.
        """
        if not len(self.search):
            return []
        if not rivals:
            return [loss]
        logits = self.search.logits(self.search.x)
        return [
            loss,
            *map(lead_of, likeliest_others(logits, self.search.y, rivals).unbind(1)),
        ]

    def refined(self, bisections: int) -> Perturbed:
        """The result, after bisections between x and the adversarial image found."""
        if len(self.search):
            self._bisect(bisections)
        return self.search.result()

    def _bisect(self, bisections: int) -> None:
        x, delta = self.search.x, self.search.x_adv - self.search.x
        # the image at share low is never adversarial; the one at share high is, if any was found
        low, high = x.new_zeros(len(x)), x.new_ones(len(x))
        for _ in range(bisections):
            share = (low + high) / 2
            adversarial = self.judge(self.valid(x + shrink(delta, share, self.norm)))
            low, high = (
                torch.where(adversarial, low, share),
                torch.where(adversarial, share, high),
            )


def shrink(delta: Tensor, share: Tensor, norm: Metric) -> Tensor:
    """Shrink delta (B, ...) to share (B,) of its length.

    For l0, keep the largest entries of delta: share of their number.
    """
    if norm == "l0":
        return project(delta, share * size(delta, "l0"), "l0")
    return per_example(share, delta) * delta


def ascent(gradient: Tensor, fallback: Tensor) -> Tensor:
    """The gradient (B, ...) scaled to l2 length 1, or fallback (B, ...) where the gradient is 0."""
    vanished = per_example(size(gradient, "linf") == 0, gradient)
    return steepest(torch.where(vanished, fallback, gradient), "l2")


def cosine(first: float, last: float, step: int, steps: int) -> float:
    """Cosine schedule from first at step 0 to last at step `steps`."""
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2
