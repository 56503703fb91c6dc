"""Gradient ascent on the angle and the shifts of an image."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Degrees, Number
from invspec.ops.draws import Draws
from invspec.ops.geometry import Fill, transform
from invspec.ops.losses import LOSSES, Loss
from invspec.search.fields import Label
from invspec.search.search import Search
from invspec.search.transforms import worst


class FirstOrderSpatial(Attack):
    """Climb the cross-entropy along the rotation and translation of each image.

    From a transform drawn uniformly within the limits, every step adds the sign of the slope of the
    loss along the angle and along each shift, times `step` of their limits, and clips to these. A
    slope is the gradient of the image times its central difference over one step, as resampling is
    not differentiable everywhere. The result is, per example, the transform of largest
    cross-entropy among those visited that fool the model, or among all visited if none does. The
    loss is not concave in the transform, so that trying a grid is stronger.

    Needs batch.y if label is true. Returns x_adv (B, C, H, W).
    """

    max_degrees: Degrees = Field(
        default=30.0, ge=0, le=180, description="half-width of the range of angles"
    )
    max_shift: float = Field(
        default=3.0, ge=0, description="largest shift along each axis, in pixels"
    )
    steps: int = Field(
        default=200, ge=1, description="number of transforms visited; the first is the random one"
    )
    step: Number = Field(
        default=0.01, gt=0, le=1, description="length of one update: share of a limit"
    )
    fill: Fill = Field(
        default="zero", description="pixels from outside the image: zero (black) or reflect"
    )
    draw: int = Field(default=0, ge=0, description="index of an independent set of starts")
    label: Label = Field(
        default="true", description="label to attack: true, or predicted by the model"
    )

    @property
    def gradient_loss(self) -> Loss:
        return "ce"

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search = Search(model, batch, self.label)
        limits = batch.x.new_tensor([self.max_degrees, self.max_shift, self.max_shift])
        u = rng.named(f"first_order_spatial/{self.draw}").uniform((len(batch), 3)).to(batch.x)
        motion = (2 * u - 1) * limits
        visited, losses, fooled = list[Tensor](), list[Tensor](), list[Tensor]()
        for _ in range(self.steps):
            visited.append(motion)
            logits, gradient = search.logits_and_gradient(LOSSES["ce"], self._moved(batch, motion))
            y = search.batch.y
            losses.append(F.cross_entropy(logits, y, reduction="none"))
            fooled.append(logits.argmax(1) != y)
            slopes = self._slopes(batch, motion, self.step / 2 * limits, gradient)
            motion = (motion + self.step * limits * slopes.sign()).clamp(-limits, limits)
        chosen = worst(torch.stack(losses, dim=1), torch.stack(fooled, dim=1))
        rows = torch.arange(len(batch), device=motion.device)
        return search.result(self._moved(batch, torch.stack(visited, dim=1)[rows, chosen]))

    def _slopes(self, batch: Batch, motion: Tensor, half: Tensor, gradient: Tensor) -> Tensor:
        """How the loss rises along each part of a motion, (B, 3), over half (3,) on both sides."""
        slopes: list[Tensor] = []
        for way in torch.diag(half):
            change = self._moved(batch, motion + way) - self._moved(batch, motion - way)
            slopes.append((change * gradient).flatten(1).sum(1))
        return torch.stack(slopes, dim=1)

    def _moved(self, batch: Batch, motion: Tensor) -> Tensor:
        """Each image after its own motion (B, 3): degrees, dx and dy."""
        degrees, dx, dy = motion.unbind(1)
        return transform(batch.x, degrees, dx, dy, "bilinear", self.fill).clamp(*batch.bounds)
