"""The Lagrangian perceptual attack, and its fast variant for training."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from invspec.kinds import Number
from invspec.ops.losses import margin
from invspec.ops.norms import per_example
from invspec.perceptual.attack import FeatureProbe, PerceptualAttack, Projection, descend

# The loss counts the margin up to this value.
_MAX_MARGIN = 1.0
# Weight of the constraint: in LPA's first round, and at the end of Fast-LPA.
_FIRST_WEIGHT, _LAST_WEIGHT = 0.01, 10.0


class LPA(PerceptualAttack):
    """Maximise the margin, capped at 1, minus a weight times the distance beyond the bound.

    The weight is 0.01 in the first round; after each round it grows tenfold for images outside the
    ball. Step lengths are measured in features: within a round they decay from the radius to a
    tenth of it. An image stops once it is misclassified and inside the ball. Images that are
    outside after the last round are projected.

    A classifier that may reject is not fooled by an error of low confidence, so that stopping at
    the first error understates what is possible. With target_margin, the loss counts the margin up
    to it, an image stops inside the ball at this margin, and the result is the image inside the
    ball with the largest margin, among all that were visited and the projected one.

    Deviates: an image that has stopped is returned as it was judged; the published code takes one
    more step, and updates the weight from the distance before a round's last step, not after it.
    The speed of the features is measured in the direction of the step, against the gradient; the
    published code measures it along the gradient.
    """

    rounds: int = Field(
        default=5,
        ge=1,
        description="rounds of `steps` updates; outside the ball, each has ten times the weight",
    )

    target_margin: Number | None = Field(
        default=None,
        gt=0,
        description="margin, in logits, to go on to; default: stop at the first error",
    )

    def smoke(self) -> LPA:
        return super().smoke().model_copy(update={"rounds": min(self.rounds, 2)})

    def _search(self, probe: FeatureProbe, x_adv: Tensor) -> Tensor:
        y, rows = probe.batch.y, torch.arange(len(x_adv), device=x_adv.device)
        best = Best(x_adv)
        weight = torch.full_like(y, _FIRST_WEIGHT, dtype=x_adv.dtype)
        for step in range(self.rounds * self.steps):
            images = x_adv[rows].requires_grad_()
            logits, features = probe.logits_and_features(images, rows)
            distance = probe.length(features, rows)
            # between rounds, from the distance of the image that starts the new round
            if step and step % self.steps == 0:
                weight[rows] *= torch.where(distance.detach() >= self._radius, 10, 1)
            reached = margin(logits, y[rows])
            capped = reached.clamp_max(self.target_margin or _MAX_MARGIN)
            loss = weight[rows] * (distance - self._radius).relu() - capped
            gradient = probe.gradient(loss, images, rows)
            inside = distance <= self._radius
            if self.target_margin is None:
                going = (logits.argmax(1) == y[rows]) | ~inside
            else:
                best.offer(images.detach(), reached.detach(), rows, inside)
                going = (reached < self.target_margin) | ~inside
            rows = rows[going]
            if not len(rows):
                break
            length = self._radius * 0.1 ** (step % self.steps / self.steps)
            images, features = images[going].detach(), features[going].detach()
            x_adv[rows] = descend(probe, images, features, gradient[going], length, rows)
        projected = self._projected(probe, x_adv)
        if self.target_margin is None:
            return projected
        rows = torch.arange(len(x_adv), device=x_adv.device)
        inside = probe.distance(projected) <= self._radius
        best.offer(projected, margin(probe.search.logits(projected), y), rows, inside)
        return torch.where(per_example(best.found, x_adv), best.x_adv, projected)


class Best:
    """The images (B, C, H, W) of largest margin inside the ball, where one was found, (B,) bool."""

    def __init__(self, x: Tensor) -> None:
        self.x_adv, self._margin = x.clone(), x.new_full((len(x),), -torch.inf)

    @property
    def found(self) -> Tensor:
        return self._margin > -torch.inf

    def offer(self, images: Tensor, reached: Tensor, rows: Tensor, inside: Tensor) -> None:
        """Keep images (M, C, H, W) at rows (M,) that are inside and reached a larger margin."""
        better = inside & (reached > self._margin[rows])
        self._margin[rows] = torch.where(better, reached, self._margin[rows])
        self.x_adv[rows] = torch.where(per_example(better, images), images, self.x_adv[rows])


class FastLPA(PerceptualAttack):
    """Maximise the margin minus a weight times the distance beyond the bound.

    Over the steps the weight rises from 1 to 10, and the step length, measured in features, decays
    from the radius to a tenth of it. Every image takes every step. Without a projection the bound
    is soft.

    Deviates: the speed of the features is measured in the direction of the step, against the
    gradient, and 1e-8 is added to it before division; the published code measures it along the
    gradient and adds 1e-4.
    """

    projection: Projection = Field(
        default="none",
        description="how images return to the ball: bisection, newton or none",
    )

    def _search(self, probe: FeatureProbe, x_adv: Tensor) -> Tensor:
        for step in range(self.steps):
            images, share = x_adv.detach().requires_grad_(), step / self.steps
            logits, features = probe.logits_and_features(images)
            beyond = (probe.length(features) - self._radius).relu()
            # from 1 to 10, geometrically
            weight = _LAST_WEIGHT * 0.1 ** (1 - share)
            gradient = probe.gradient(weight * beyond - margin(logits, probe.batch.y), images)
            length = self._radius * 0.1**share
            x_adv = descend(probe, images.detach(), features.detach(), gradient, length)
        return self._projected(probe, x_adv)
