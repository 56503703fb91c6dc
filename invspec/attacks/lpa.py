"""The Lagrangian perceptual attack, and its fast variant for training."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from invspec.ops.losses import margin
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

    def smoke(self) -> LPA:
        return super().smoke().model_copy(update={"rounds": min(self.rounds, 2)})

    def _search(self, probe: FeatureProbe, x_adv: Tensor) -> Tensor:
        y, rows = probe.batch.y, torch.arange(len(x_adv), device=x_adv.device)
        weight = torch.full_like(y, _FIRST_WEIGHT, dtype=x_adv.dtype)
        for step in range(self.rounds * self.steps):
            images = x_adv[rows].requires_grad_()
            logits, features = probe.logits_and_features(images, rows)
            distance = probe.length(features, rows)
            # between rounds, from the distance of the image that starts the new round
            if step and step % self.steps == 0:
                weight[rows] *= torch.where(distance.detach() >= self._radius, 10, 1)
            capped = margin(logits, y[rows]).clamp_max(_MAX_MARGIN)
            loss = weight[rows] * (distance - self._radius).relu() - capped
            gradient = probe.gradient(loss, images, rows)
            going = (logits.argmax(1) == y[rows]) | (distance > self._radius)
            rows = rows[going]
            if not len(rows):
                break
            length = self._radius * 0.1 ** (step % self.steps / self.steps)
            images, features = images[going].detach(), features[going].detach()
            x_adv[rows] = descend(probe, images, features, gradient[going], length, rows)
        return self._projected(probe, x_adv)


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
