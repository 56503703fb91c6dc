"""Common parts of the attacks of Laidlaw et al., which search in a perceptual ball."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number
from invspec.ops.draws import Draws
from invspec.ops.losses import Loss
from invspec.ops.norms import per_example, size
from invspec.perceptual.distances import (
    Embedding,
    distance,
    own_features,
    radius,
    weights_read,
    with_offline_distance,
)
from invspec.search.search import Search

Projection = Literal["bisection", "newton", "none"]

# Standard deviation of the noise on the start, in pixels.
_NOISE = 0.01
# Iterations of the projections, and how far newton overshoots; as published.
_BISECTIONS = 10
_NEWTON_STEPS, _OVERSHOOT = 10, 0.1
# l2 length in pixels of the finite difference that measures how fast features change.
_AHEAD = 0.1
# Keeps steps finite where a gradient vanishes or features do not change.
_TINY = 1e-8


class PerceptualAttack(Attack):
    """Base class of attacks within max_distance of x, which start at x plus Gaussian noise.

    The search measures distances as l2 lengths between features: for laidlaw_* this is the distance
    itself, for lpips_*, which is squared, its root. projection moves images outside the ball back
    into it. bisection: to the last point inside, after ten bisections of the line to x. newton: by
    up to ten steps down the gradient of the distance, which end about a tenth of a unit inside, and
    by bisection where these fail. none: no projection, so that the bound is soft.

    With laidlaw_self, features come from the attacked model, and computing them counts as a pass.

    Needs batch.y, the label to attack. Returns x_adv (B, C, H, W). max_distance 0 returns x without
    running the model.

    Deviates: bisection returns the lower end of its last interval; the published code returns the
    last midpoint, which may be outside. The published default is newton. Images are clamped to the
    pixel bounds before the first pass, not after it.
    """

    # Finite differences of features have no significant digits in bfloat16.
    needs_float32: ClassVar[bool] = True

    max_distance: Number = Field(
        default=0.5, ge=0, description="largest distance from x, in the units of `distance`"
    )
    distance: Embedding = Field(
        default="laidlaw_self", description="perceptual distance between two images"
    )
    steps: int = Field(default=20, ge=1, description="number of updates")
    projection: Projection = Field(
        default="bisection",
        description="how images return to the ball: bisection, newton or none",
    )

    @property
    def reads(self) -> dict[str, str]:
        return weights_read(self.distance)

    @abstractmethod
    def _search(self, probe: FeatureProbe, x_adv: Tensor) -> Tensor:
        """Adversarial images (B, C, H, W), starting from x_adv, which may be changed in place."""

    @property
    def gradient_loss(self) -> Loss | None:
        return "margin"

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search = Search(model, batch)
        if self.max_distance == 0:
            return search.result()
        noise = _NOISE * rng.normal(tuple(batch.x.shape)).to(batch.x)
        probe = FeatureProbe(search, self.distance)
        x_adv = self._search(probe, (batch.x + noise).clamp(*batch.bounds))
        return search.result(x_adv.detach())

    def smoke(self) -> Self:
        """The same attack with a distance that needs no download."""
        return with_offline_distance(super().smoke())

    @property
    def _radius(self) -> float:
        """max_distance as a length between features."""
        return radius(self.distance, self.max_distance)

    def _projected(self, probe: FeatureProbe, x_adv: Tensor) -> Tensor:
        """x_adv (B, C, H, W), with images outside the ball projected into it."""
        if self.projection == "none":
            return x_adv
        rows = (probe.distance(x_adv) > self._radius).nonzero().squeeze(1)
        projected = x_adv.clone()
        if self.projection == "newton" and len(rows):
            projected[rows], failed = newton(probe, x_adv[rows], rows, self._radius)
            rows = rows[failed]
        if len(rows):
            projected[rows] = bisect(probe, x_adv[rows], rows, self._radius)
        return projected


class FeatureProbe:
    """Logits and features of images, the distance from x in these features, and their gradients.

    Methods take images (M, C, H, W) and rows (M,) int64, their positions in the batch; None means
    all examples. The search counts passes through the attacked model.
    """

    def __init__(self, search: Search, name: Embedding) -> None:
        self.search, self.batch, self.own = search, search.batch, name == "laidlaw_self"
        self.embedding = distance(name, search.model).features
        self.reference = self.features(self.batch.x)

    def logits_and_features(
        self, images: Tensor, rows: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits (M, K) and features (M, D), with their graphs, from one pass through the model."""
        self.search.passed(forwards=1, positions=rows)
        with torch.enable_grad():
            if self.own:
                return own_features(self.search.model, images)
            return self.search.model(images), self.embedding(images)

    @torch.no_grad()
    def features(self, images: Tensor, rows: Tensor | None = None) -> Tensor:
        """Features (M, D) without a graph."""
        self._embedded(rows)
        return self.embedding(images)

    def length(self, features: Tensor, rows: Tensor | None = None) -> Tensor:
        """Distance (M,) from the features of x to features (M, D)."""
        return size(features - (self.reference if rows is None else self.reference[rows]), "l2")

    def distance(self, images: Tensor, rows: Tensor | None = None) -> Tensor:
        """Distance (M,) of images from x, without a graph."""
        return self.length(self.features(images, rows), rows)

    def distance_and_gradient(self, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Distance (M,) of images from x, and its gradient (M, C, H, W)."""
        leaf = images.detach().requires_grad_()
        self._embedded(rows, backwards=1)
        with torch.enable_grad():
            lengths = self.length(self.embedding(leaf), rows)
        return lengths.detach(), torch.autograd.grad(lengths.sum(), leaf)[0]

    def gradient(self, loss: Tensor, images: Tensor, rows: Tensor | None = None) -> Tensor:
        """Gradient (M, C, H, W) of each example's own loss (M,); keeps the graph."""
        self.search.passed(backwards=1, positions=rows)
        return torch.autograd.grad(loss.sum(), images, retain_graph=True)[0]

    def vjp(self, change: Tensor, features: Tensor, images: Tensor) -> Tensor:
        """J' change (B, C, H, W), where J is the Jacobian of features (B, D); keeps the graph."""
        if self.own:
            self.search.passed(backwards=1)
        return torch.autograd.grad(features, images, change, retain_graph=True)[0]

    def _embedded(self, rows: Tensor | None, backwards: int = 0) -> None:
        """Count a pass if features come from the attacked model."""
        if self.own:
            self.search.passed(forwards=1, backwards=backwards, positions=rows)


def descend(
    probe: FeatureProbe,
    images: Tensor,
    features: Tensor,
    gradient: Tensor,
    length: float,
    rows: Tensor | None = None,
) -> Tensor:
    """Images (M, C, H, W) moved against the gradient until their features moved by about length.

    features (M, D) are the features of the images.
    """
    direction = gradient / per_example(size(gradient, "l2") + _TINY, gradient)
    ahead = probe.features(images - _AHEAD * direction, rows)
    # how far features move per unit of l2 in pixels
    speed = size(ahead - features, "l2") / _AHEAD
    moved = images - per_example(length / (speed + _TINY), images) * direction
    return moved.clamp(*probe.batch.bounds)


def bisect(probe: FeatureProbe, images: Tensor, rows: Tensor, length: float) -> Tensor:
    """The farthest point within length of x on the line from x to images (M, C, H, W).

    Found by ten bisections; x itself where none of their midpoints is within length.
    """
    x = probe.batch.x[rows]
    inside_images, low, high = x, x.new_zeros(len(x)), x.new_ones(len(x))
    for _ in range(_BISECTIONS):
        share = (low + high) / 2
        middle = torch.lerp(x, images, per_example(share, x))
        inside = probe.distance(middle, rows) <= length
        inside_images = torch.where(per_example(inside, x), middle, inside_images)
        low, high = torch.where(inside, share, low), torch.where(inside, high, share)
    return inside_images


def newton(
    probe: FeatureProbe, images: Tensor, rows: Tensor, length: float
) -> tuple[Tensor, Tensor]:
    """Images (M, C, H, W) moved against the gradient of their distance until it is within length.

    Also returns the positions (m,) of images for which this failed. A step is a tenth longer than
    Newton's, and aims a tenth of a unit further inside.
    """
    moved, outside = images.clone(), torch.arange(len(images), device=images.device)
    for _ in range(_NEWTON_STEPS):
        distances, gradient = probe.distance_and_gradient(moved[outside], rows[outside])
        beyond = distances > length
        outside, distances, gradient = outside[beyond], distances[beyond], gradient[beyond]
        if not len(outside):
            return moved, outside
        # Newton's step for distance = length goes (distance - length) / ||g||^2 along -g
        steepness = size(gradient, "l2").square().clamp_min(torch.finfo(gradient.dtype).tiny)
        step = (1 + _OVERSHOOT) * (distances - length + _OVERSHOOT) / steepness
        moved[outside] = (moved[outside] - per_example(step, gradient) * gradient).clamp(
            *probe.batch.bounds
        )
    return moved, outside[probe.distance(moved[outside], rows[outside]) > length]
