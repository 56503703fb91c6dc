"""The Lagrangian perceptual attack, and its fast variant for training."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from invspec.ops.losses import margin
from invspec.perceptual.attack import FeatureProbe, PerceptualAttack, Projection, descent

_CONFIDENT = 1.0  # lead of a wrong logit from which LPA wants no more
_FIRST_WEIGHT, _LAST_WEIGHT = 0.01, 10.0  # of the constraint: LPA's first, Fast-LPA's last


class LPA(PerceptualAttack):
    """Raise the lead of a wrong class, up to 1, less a weight times the distance beyond the bound.

    The weight is 0.01 in the first round; from round to round it is ten times as large for images that are outside the
    ball. Steps are lengths in features: within a round they decay from the radius to a tenth of it. An image that is
    misclassified and inside stays as it is. What is outside after the last round is projected.

    Deviates: an image that is done is the one that was judged; the published code takes one step more from there, and
    weighs anew by the distance before a round's last step, not after it. How fast features change is measured against
    the gradient, where the step goes; theirs along it.
    """

    rounds: int = Field(
        default=5,
        ge=1,
        description="times `steps` updates, each with a tenfold weight where outside",
    )

    def smoke(self) -> LPA:
        return super().smoke().model_copy(update={"rounds": min(self.rounds, 2)})

    def _search(self, eye: FeatureProbe, x_adv: Tensor) -> Tensor:
        y, rows = eye.batch.y, eye.everyone
        weight = torch.full_like(y, _FIRST_WEIGHT, dtype=x_adv.dtype)
        for step in range(self.rounds * self.steps):
            images = x_adv[rows].requires_grad_()
            logits, features = eye.look(images, rows)
            away = eye.length(features, rows)
            if step and step % self.steps == 0:
                weight[rows] *= torch.where(away.detach() >= self._radius, 10, 1)
            lead = margin(logits, y[rows]).clamp_max(_CONFIDENT)
            gradient = eye.gradient(
                weight[rows] * (away - self._radius).relu() - lead, images, rows
            )
            going = (logits.argmax(1) == y[rows]) | (away > self._radius)
            rows = rows[going]
            if not len(rows):
                break
            length = self._radius * 0.1 ** (step % self.steps / self.steps)
            x_adv[rows] = descent(
                eye, images[going].detach(), features[going].detach(), gradient[going], rows, length
            )
        return self._projected(eye, x_adv)


class FastLPA(PerceptualAttack):
    """Raise the lead of a wrong class less a weight times the distance beyond the bound, which is a soft one.

    Over the steps the weight rises from 1 to 10 and the length of a step, in features, decays from the radius to a
    tenth of it. Every image takes every step.

    Deviates: how fast features change is measured against the gradient, where the step goes, and 1e-8 is added before
    the step is divided by it; in the published code along the gradient, and 1e-4.
    """

    projection: Projection = Field(
        default="none", description="into the ball: bisection, newton, or none"
    )

    def _search(self, eye: FeatureProbe, x_adv: Tensor) -> Tensor:
        rows, y = eye.everyone, eye.batch.y
        for step in range(self.steps):
            images, share = x_adv.detach().requires_grad_(), step / self.steps
            logits, features = eye.look(images, rows)
            beyond = (eye.length(features, rows) - self._radius).relu()
            loss = _LAST_WEIGHT * 0.1 ** (1 - share) * beyond - margin(logits, y)
            gradient = eye.gradient(loss, images, rows)
            x_adv = descent(
                eye, images.detach(), features.detach(), gradient, rows, self._radius * 0.1**share
            )
        return self._projected(eye, x_adv)
