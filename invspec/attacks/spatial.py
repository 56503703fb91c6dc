"""The worst rotation and translation of an image."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Degrees
from invspec.ops.draws import Draws
from invspec.ops.geometry import Fill, Interpolation, transform
from invspec.search.fields import Label
from invspec.search.gradients import logits_of

TOGETHER = 256  # images that a small batch is multiplied to, so that a model is kept busy


class Spatial(Attack):
    """Search the turns and shifts of each image for the one that the model takes worst.

    A transform turns the image about its centre and then moves it. method grid tries rotations x shifts x shifts of
    them, evenly spaced from one limit to the other; as the numbers are odd, the image itself is among them, unchanged,
    so that no example becomes easier. method worst_of_k tries k transforms drawn uniformly within the limits; they
    belong to the image and to `draw` alone, the same for every model and scaled by the limits, and the first of them
    do not depend on k, so that more are never weaker. The image itself is not one of them.

    The answer is, per example, the transform of highest cross-entropy among those that make the model leave the label,
    or among all where none does. So every transform is tried, also of an example that was fooled long before.
    Returns x_adv (B, C, H, W).
    """

    method: Literal["grid", "worst_of_k"] = Field(
        default="grid", description="try a grid, or k random transforms"
    )
    max_degrees: Degrees = Field(
        default=30.0, ge=0, le=180, description="half-width of the range of angles"
    )
    max_shift: float = Field(
        default=3.0, ge=0, description="farthest shift along each axis, in pixels"
    )
    rotations: int = Field(default=31, ge=1, description="grid: number of angles, odd")
    shifts: int = Field(default=5, ge=1, description="grid: number of shifts along each axis, odd")
    k: int = Field(default=10, ge=1, description="worst_of_k: number of random transforms")
    draw: int = Field(
        default=0, ge=0, description="worst_of_k: which of the independent sets of transforms"
    )
    interpolation: Interpolation = Field(
        default="bilinear", description="how to resample: bilinear or nearest"
    )
    fill: Fill = Field(
        default="zero", description="what turns or moves in: zero (black) or reflect"
    )
    label: Label = Field(
        default="true", description="leave the true label, or the one predicted for x"
    )

    @model_validator(mode="after")
    def _image_itself_in_the_grid(self) -> Self:
        for name in ("rotations", "shifts"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(
                    f"{name} {getattr(self, name)} leaves the image itself out; give an odd number"
                )
        return self

    def smoke(self) -> Self:
        return self.model_copy(
            update={"rotations": min(3, self.rotations), "shifts": min(3, self.shifts), "k": 2}
        )

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        transforms = self._grid(batch.x) if self.method == "grid" else self._drawn(batch.x, rng)
        predicted = self.label == "predicted"
        y = logits_of(model, batch.x).argmax(1) if predicted else batch.y
        loss, fooled = self._judged(model, replace(batch, y=y), transforms)
        chosen = transforms[torch.arange(len(batch), device=transforms.device), worst(loss, fooled)]
        return Perturbed.costing(
            self._moved(batch, chosen), forwards=transforms.shape[1] + predicted, backwards=0
        )

    def _grid(self, x: Tensor) -> Tensor:
        """Degrees, dx and dy of every transform, (B, T, 3), the same for all images."""
        shifts = evenly(self.max_shift, self.shifts)
        points = torch.tensor(
            list(product(evenly(self.max_degrees, self.rotations), shifts, shifts))
        )
        return points.to(x).expand(len(x), -1, -1)

    def _drawn(self, x: Tensor, rng: Draws) -> Tensor:
        """Degrees, dx and dy of k transforms of each image, (B, k, 3)."""
        u = rng.named(f"spatial/{self.draw}").uniform((len(x), self.k, 3)).to(x)
        return (2 * u - 1) * u.new_tensor([self.max_degrees, self.max_shift, self.max_shift])

    def _judged(self, model: nn.Module, batch: Batch, transforms: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy (B, T) of every transform (B, T, 3) of every image, and whether it leaves the label."""
        judged = [
            self._scores(model, batch, some)
            for some in transforms.split(max(1, TOGETHER // len(batch)), dim=1)
        ]
        loss, fooled = zip(*judged, strict=True)
        return torch.cat(loss, dim=1), torch.cat(fooled, dim=1)

    def _scores(self, model: nn.Module, batch: Batch, transforms: Tensor) -> tuple[Tensor, Tensor]:
        """The same for as many transforms as fit in one forward pass."""
        rows = torch.arange(len(batch), device=batch.x.device).repeat_interleave(
            transforms.shape[1]
        )
        many = batch.take(rows)
        logits = logits_of(model, self._moved(many, transforms.flatten(0, 1)))
        loss = F.cross_entropy(logits, many.y, reduction="none")
        return loss.view(transforms.shape[:2]), (logits.argmax(1) != many.y).view(
            transforms.shape[:2]
        )

    def _moved(self, batch: Batch, transforms: Tensor) -> Tensor:
        """Each image after its own transform (B, 3)."""
        degrees, dx, dy = transforms.unbind(1)
        moved = transform(batch.x, degrees, dx, dy, self.interpolation, self.fill)
        return moved.clamp(*batch.bounds)  # resampling rounds past 1


def evenly(limit: float, number: int) -> list[float]:
    """An odd number of values from -limit to limit, 0 in their middle; one value where that is all there is."""
    half = number // 2 if limit else 0
    return [limit * step / half for step in range(-half, half + 1)] if half else [0.0]


def worst(loss: Tensor, fooled: Tensor) -> Tensor:
    """Per example the transform of highest loss (B, T) among those that fool, or among all where none does, (B,)."""
    eligible = fooled | ~fooled.any(1, keepdim=True)
    return loss.masked_fill(~eligible, -torch.inf).argmax(1)
