"""Search for a distant image with the logits of x."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import Loss, total_variation
from invspec.search.search import Search


class LogitSpace(Attack):
    """Descend from a distant image to one whose logits equal those of x (Algorithm 2, corrected).

    With logits L, probabilities f and delta = x_adv - x, or x_adv - x_target for start target,
    minimise

        ||L(x_adv) + h - L(x)||^2 + probability_weight ||f(x_adv) - f(x)||^2 + tv_weight TV(delta)

    by steps of step_size along the signs of the gradient, clamped to the pixel bounds. h optimal is
    the mean over classes of L(x) - L(x_adv): the first term is then the distance between centred
    logits, which is 0 exactly where the probabilities are equal. start source begins at x plus
    uniform noise in [-1, 1], start target at x_target. objective confidence replaces the first
    two terms by relu(f_j(x) - f_j(x_adv)), where j is the predicted class of x.

    State this with every result: the search starts far from x, so there is no path from x to its
    result, and none to the result of a walk that starts there. With start target, x_adv is an
    ordinary adversarial perturbation of the target. Never pool either with attacks that walk from
    x.

    Needs batch.x_target if start is target. Returns the last image, x_adv (B, C, H, W).

    Deviates: the paper prints an ascent with the second term subtracted and with
    x_adv <- clamp(x_adv + delta), which adds all of delta at every step; no choice of sign makes
    its terms consistent, and it loses the class. The card logit_space_literal runs it: sign ascent,
    probability_weight -1, accumulates. The authors' code has a constant h; its last version is the
    card logit_space_published, except that their relu has a norm over the batch. Its learning rate
    of 10 moves every pixel to an end of its range in the first step.
    """

    start: Literal["source", "target"] = Field(
        default="source", description="image to start from: x plus noise, or the target"
    )
    objective: Literal["match", "confidence"] = Field(
        default="match",
        description="match the logits and probabilities of x, or keep the confidence in its class",
    )
    h: Literal["optimal", "zero"] | Number = Field(
        default="optimal",
        description="shift added to all logits: the optimal one, zero, or a constant",
    )
    probability_weight: Number = Field(
        default=1.0, description="weight of the squared distance between probabilities"
    )
    tv_weight: Number = Field(
        default=0.01, description="weight of the total variation of the perturbation"
    )
    tv: Literal["l1", "squared"] = Field(
        default="l1",
        description="total variation: sum of absolute, or mean of squared, pixel differences",
    )
    steps: int = Field(default=200, ge=1, description="number of updates")
    step_size: Pixels = Field(
        default=0.01, gt=0, description="linf length of an update; for adam, its learning rate"
    )
    optimiser: Literal["sign", "adam"] = Field(
        default="sign", description="signs of the gradient, or Adam on the pixels"
    )
    schedule: Literal["constant", "milestones"] = Field(
        default="constant",
        description="of step_size; milestones: divide it by 10 after 50 % and 75 % of the steps",
    )
    sign: Literal["descent", "ascent"] = Field(
        default="descent", description="descend or climb the objective"
    )
    accumulates: bool = Field(
        default=False, description="add all of delta to the image at every step, as printed"
    )
    margin: Pixels = Field(
        default=0.0,
        ge=0,
        lt=0.5,
        description="least distance of pixels from their bounds",
    )

    @property
    def wants_target(self) -> bool:
        return self.start == "target"

    @property
    def gradient_loss(self) -> Loss:
        return "confidence" if self.objective == "confidence" else "margin"

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search = Search(model, batch)
        clean = search.logits(batch.x)
        origin, x_adv = self._start(batch, rng)
        low, high = batch.bounds[0] + self.margin, batch.bounds[1] - self.margin
        # The tensor updated in place: delta if accumulates, else the image itself.
        point = x_adv - origin if self.accumulates else x_adv
        adam = torch.optim.Adam([point]) if self.optimiser == "adam" else None
        for step in range(self.steps):
            gradient = self._gradient(search, x_adv, origin, clean)
            self._update(point, gradient, self._length(step), adam)
            x_adv = (x_adv + point if self.accumulates else point).clamp_(low, high)
        return search.result(x_adv)

    def loss(self, logits: Tensor, clean: Tensor, delta: Tensor) -> Tensor:
        """The objective (B,) at logits (B, K), for the logits of x, clean (B, K), and delta."""
        smoothness = self.tv_weight * total_variation(delta, squared=self.tv == "squared")
        difference = clean.softmax(1) - logits.softmax(1)
        if self.objective == "confidence":
            label = clean.argmax(1, keepdim=True)
            # no reward for more confidence than x has
            return difference.gather(1, label).squeeze(1).relu() + smoothness
        gap = self._shifted(logits - clean).square().sum(1)
        return gap + self.probability_weight * difference.square().sum(1) + smoothness

    def _shifted(self, gap: Tensor) -> Tensor:
        """The difference of logits (B, K), plus h."""
        if self.h == "optimal":
            # the h that minimises the first term is minus the mean of the gap
            return gap - gap.mean(1, keepdim=True)
        return gap if self.h == "zero" else gap + self.h

    def _start(self, batch: Batch, rng: Draws) -> tuple[Tensor, Tensor]:
        """The origin of delta, and the first x_adv as a new tensor."""
        if self.start == "target":
            return batch.targets, batch.targets.clone()
        noise = 2 * rng.uniform(tuple(batch.x.shape)).to(batch.x) - 1
        return batch.x, (batch.x + noise).clamp_(*batch.bounds)

    def _gradient(self, search: Search, x_adv: Tensor, origin: Tensor, clean: Tensor) -> Tensor:
        leaf = x_adv.detach().clone().requires_grad_()
        with torch.enable_grad():
            loss = self.loss(search.forward(leaf), clean, leaf - origin)
        return search.backward(loss, leaf)

    def _length(self, step: int) -> float:
        """step_size at a step, counted from 0."""
        if self.schedule == "constant":
            return self.step_size
        return self.step_size * 0.1 ** ((2 * step >= self.steps) + (4 * step >= 3 * self.steps))

    def _update(
        self, point: Tensor, gradient: Tensor, length: float, adam: torch.optim.Adam | None
    ) -> None:
        """Move the point, in place."""
        downhill = gradient if self.sign == "descent" else -gradient
        if adam is None:
            point.sub_(downhill.sign(), alpha=length)
            return
        adam.param_groups[0]["lr"], point.grad = length, downhill
        adam.step()
