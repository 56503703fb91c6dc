"""What the attacks of Laidlaw et al. share, whose ball is one of perceptual distance."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example, size
from invspec.perceptual.distances import (
    Embedding,
    distance,
    offline,
    own_features,
    radius,
    weights_read,
)

Projection = Literal["bisection", "newton", "none"]


_NOISE = 0.01  # standard deviation of the start's noise, in pixels


_HALVINGS = 10  # of a bisection


_NEWTON_STEPS, _OVERSHOOT = 10, 0.1


_AHEAD = 0.1  # length in pixels, l2, over which features are compared to tell how fast they change


_TINY = 1e-8


class PerceptualAttack(Attack):
    """A search for an image that is misclassified and within max_distance of x, from x with Gaussian noise.

    Distances are lengths between embedded features: of laidlaw_* the distance itself, of lpips_*, which are squared,
    its root. projection says how an image outside the ball is brought in. bisection: on the straight line to x, the
    last of ten halvings that is inside. newton: up to ten steps down the distance's gradient, which lead inside by
    about a tenth of a unit; where they fail, bisection. none: not at all, so that the bound is a soft one.

    With laidlaw_self every look at an image's features is a pass through the model, and is counted as one.

    Needs batch.y, the label to leave. Returns x_adv (B, C, H, W). max_distance 0 does not ask the model.

    Deviates: bisection returns the lower end of its last interval, the published code the last midpoint, which may lie
    outside; published defaults are newton. Images are brought into the box before the first pass, not after it.
    """

    needs_float32: ClassVar[bool] = (
        True  # the finite differences of features have no digits in bfloat16
    )

    max_distance: Number = Field(
        default=0.5, ge=0, description="largest distance from x, in the units of `distance`"
    )
    distance: Embedding = Field(default="laidlaw_self", description="how far apart two images look")
    steps: int = Field(default=20, ge=1, description="number of updates")
    projection: Projection = Field(
        default="bisection", description="into the ball: bisection, newton, or none"
    )

    @property
    def reads(self) -> dict[str, str]:
        return weights_read(self.distance)

    @abstractmethod
    def _search(self, eye: FeatureProbe, x_adv: Tensor) -> Tensor:
        """LineStyle for adversarial images (B, C, H, W) from x_adv on, which may be changed."""

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if self.max_distance == 0:
            return Perturbed.costing(batch.x, forwards=0, backwards=0)
        noise = _NOISE * rng.normal(tuple(batch.x.shape)).to(batch.x)
        eye = FeatureProbe(model, batch, self.distance)
        x_adv = self._search(eye, (batch.x + noise).clamp(*batch.bounds)).detach()
        return Perturbed(x_adv, eye.forwards, eye.backwards)

    def smoke(self) -> Self:
        """By features for which nothing is downloaded."""
        return super().smoke().model_copy(update={"distance": offline(self.distance)})

    @property
    def _radius(self) -> float:
        """max_distance as a length between features."""
        return radius(self.distance, self.max_distance)

    def _projected(self, eye: FeatureProbe, x_adv: Tensor) -> Tensor:
        """x_adv (B, C, H, W), of which those outside the ball are brought in."""
        if self.projection == "none":
            return x_adv
        rows = eye.everyone[eye.away(x_adv, eye.everyone) > self._radius]
        nearer = x_adv.clone()
        if self.projection == "newton" and len(rows):
            nearer[rows], left = newton(eye, x_adv[rows], rows, self._radius)
            rows = rows[left]
        if len(rows):
            nearer[rows] = bisected(eye, x_adv[rows], rows, self._radius)
        return nearer


class FeatureProbe:
    """A model, and how far images are from x in its features or those of another net; counts passes by example.

    All methods take images (M, C, H, W) and rows (M,) int64, which examples of the batch they are versions of.
    """

    def __init__(self, model: nn.Module, batch: Batch, name: Embedding) -> None:
        self.model, self.batch, self.own = model, batch, name == "laidlaw_self"
        self.embedding = distance(name, model).features
        self.everyone = torch.arange(len(batch), device=batch.x.device)
        self.forwards, self.backwards = (
            torch.zeros_like(self.everyone),
            torch.zeros_like(self.everyone),
        )
        self.reference = self.features(batch.x, self.everyone)

    def look(self, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (M, K) and features (M, D), with their graphs, by one pass through the model."""
        self.forwards[rows] += 1
        with torch.enable_grad():
            return (
                own_features(self.model, images)
                if self.own
                else (self.model(images), self.embedding(images))
            )

    @torch.no_grad()
    def features(self, images: Tensor, rows: Tensor) -> Tensor:
        """Features (M, D) without a graph."""
        self.forwards[rows] += self.own
        return self.embedding(images)

    def length(self, features: Tensor, rows: Tensor) -> Tensor:
        """How far features (M, D) are from those of x, (M,)."""
        return size(features - self.reference[rows], "l2")

    def away(self, images: Tensor, rows: Tensor) -> Tensor:
        """How far images are from x, (M,), without a graph."""
        return self.length(self.features(images, rows), rows)

    def away_and_gradient(self, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and its gradient (M, C, H, W)."""
        leaf = images.detach().requires_grad_()
        self.forwards[rows] += self.own
        self.backwards[rows] += self.own
        with torch.enable_grad():
            away = self.length(self.embedding(leaf), rows)
        return away.detach(), torch.autograd.grad(away.sum(), leaf)[0]

    def gradient(self, loss: Tensor, images: Tensor, rows: Tensor) -> Tensor:
        """Gradient (M, C, H, W) of each example's own loss (M,) of its logits; the graph is kept."""
        self.backwards[rows] += 1
        return torch.autograd.grad(loss.sum(), images, retain_graph=True)[0]

    def pulled_back(self, change: Tensor, features: Tensor, images: Tensor, rows: Tensor) -> Tensor:
        """J' change, (M, C, H, W), of features (M, D) whose Jacobian at images is J; the graph is kept."""
        self.backwards[rows] += self.own
        return torch.autograd.grad(features, images, change, retain_graph=True)[0]


def descent(
    eye: FeatureProbe,
    images: Tensor,
    features: Tensor,
    gradient: Tensor,
    rows: Tensor,
    length: float,
) -> Tensor:
    """Images (M, C, H, W) moved against the gradient so far that their features (M, D) move by about `length`."""
    direction = gradient / per_example(size(gradient, "l2") + _TINY, gradient)
    ahead = eye.features(images - _AHEAD * direction, rows)
    speed = size(ahead - features, "l2") / _AHEAD
    return (images - per_example(length / (speed + _TINY), images) * direction).clamp(
        *eye.batch.bounds
    )


def bisected(eye: FeatureProbe, images: Tensor, rows: Tensor, length: float) -> Tensor:
    """The farthest of ten halvings of the way from x to images (M, C, H, W) whose features are within length of x's."""
    x = eye.batch.x[rows]
    nearer, low, high = x, x.new_zeros(len(x)), x.new_ones(len(x))
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        middle = torch.lerp(x, images, per_example(share, x))
        inside = eye.away(middle, rows) <= length
        nearer = torch.where(per_example(inside, x), middle, nearer)
        low, high = torch.where(inside, share, low), torch.where(inside, high, share)
    return nearer


def newton(eye: FeatureProbe, images: Tensor, rows: Tensor, length: float) -> tuple[Tensor, Tensor]:
    """Images (M, C, H, W) moved against the gradient of their distance until it is within length, and where it is not.

    A step is longer than Newton's, by a tenth and so much as brings the distance down by another tenth of a unit.
    """
    nearer, left = images.clone(), torch.arange(len(images), device=images.device)
    for _ in range(_NEWTON_STEPS):
        away, gradient = eye.away_and_gradient(nearer[left], rows[left])
        outside = away > length
        left, away, gradient = left[outside], away[outside], gradient[outside]
        if not len(left):
            return nearer, left
        steepness = size(gradient, "l2").square().clamp_min(torch.finfo(gradient.dtype).tiny)
        step = (1 + _OVERSHOOT) * (away - length + _OVERSHOOT) / steepness
        nearer[left] = (nearer[left] - per_example(step, gradient) * gradient).clamp(
            *eye.batch.bounds
        )
    return nearer, left[eye.away(nearer[left], rows[left]) > length]
