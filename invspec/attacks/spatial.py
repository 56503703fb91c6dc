"""The worst rotation and translation of an image."""

from __future__ import annotations

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
from invspec.search.search import Search
from invspec.search.transforms import worst

# images per forward pass: small batches try several transforms in one pass, up to this number
IMAGES_PER_PASS = 256


class Spatial(Attack):
    """Find the rotation and translation of each image with the largest loss.

    A transform rotates the image about its centre and then shifts it. Method grid tries all
    rotations x shifts x shifts, evenly spaced between the limits; since the numbers are odd, the
    unchanged image is among them, so that no example becomes easier. Method worst_of_k tries k
    transforms drawn uniformly within the limits; they depend only on the image and on `draw`, are
    the same for every model and scale with the limits. A larger k adds transforms to those of a
    smaller k, so it is never weaker. The unchanged image is not among them.

    The result is, per example, the transform of largest cross-entropy among those that fool the
    model, or among all if none does. So every transform is tried, even after one has fooled the
    model.

    Needs batch.y if label is true. Returns x_adv (B, C, H, W).
    """

    method: Literal["grid", "worst_of_k"] = Field(
        default="grid", description="try a grid, or k random transforms"
    )
    max_degrees: Degrees = Field(
        default=30.0, ge=0, le=180, description="half-width of the range of angles"
    )
    max_shift: float = Field(
        default=3.0, ge=0, description="largest shift along each axis, in pixels"
    )
    # Engstrom et al.'s grid: 31 angles and 5 x 5 shifts, 775 transforms
    rotations: int = Field(default=31, ge=1, description="grid: number of angles, odd")
    shifts: int = Field(default=5, ge=1, description="grid: number of shifts along each axis, odd")
    k: int = Field(default=10, ge=1, description="worst_of_k: number of random transforms")
    draw: int = Field(
        default=0, ge=0, description="worst_of_k: index of an independent set of transforms"
    )
    interpolation: Interpolation = Field(
        default="bilinear", description="resampling: bilinear or nearest"
    )
    fill: Fill = Field(
        default="zero", description="pixels from outside the image: zero (black) or reflect"
    )
    label: Label = Field(
        default="true", description="label to attack: true, or predicted by the model"
    )

    @model_validator(mode="after")
    def _unchanged_image_in_grid(self) -> Self:
        for name in ("rotations", "shifts"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(
                    f"{name} {getattr(self, name)} leaves out the unchanged image;"
                    " give an odd number"
                )
        return self

    def smoke(self) -> Self:
        few = {"rotations": min(3, self.rotations), "shifts": min(3, self.shifts), "k": 2}
        return self.model_copy(update=few)

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search = Search(model, batch, self.label)
        transforms = self._grid(batch.x) if self.method == "grid" else self._drawn(batch.x, rng)
        loss, fooled = self._evaluate(search, transforms)
        rows = torch.arange(len(batch), device=transforms.device)
        return search.result(self._transformed(batch, transforms[rows, worst(loss, fooled)]))

    def _grid(self, x: Tensor) -> Tensor:
        """Degrees, dx and dy of all transforms, (B, T, 3), the same for all images."""
        shifts = evenly(self.max_shift, self.shifts)
        points = product(evenly(self.max_degrees, self.rotations), shifts, shifts)
        return torch.tensor(list(points)).to(x).expand(len(x), -1, -1)

    def _drawn(self, x: Tensor, rng: Draws) -> Tensor:
        """Degrees, dx and dy of k transforms of each image, (B, k, 3)."""
        u = rng.named(f"spatial/{self.draw}").uniform((len(x), self.k, 3)).to(x)
        return (2 * u - 1) * u.new_tensor([self.max_degrees, self.max_shift, self.max_shift])

    def _evaluate(self, search: Search, transforms: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy (B, T) of transforms (B, T, 3), and whether they fool the model."""
        parts = [
            self._evaluate_part(search, part)
            for part in transforms.split(max(1, IMAGES_PER_PASS // len(search)), dim=1)
        ]
        loss, fooled = zip(*parts, strict=True)
        return torch.cat(loss, dim=1), torch.cat(fooled, dim=1)

    def _evaluate_part(self, search: Search, transforms: Tensor) -> tuple[Tensor, Tensor]:
        """`_evaluate` for as many transforms as fit in one forward pass."""
        shape, batch = transforms.shape[:2], search.batch
        rows = torch.arange(len(batch), device=batch.x.device).repeat_interleave(shape[1])
        repeated = batch.take(rows)
        logits = search.logits(self._transformed(repeated, transforms.flatten(0, 1)))
        loss = F.cross_entropy(logits, repeated.y, reduction="none")
        return loss.view(shape), (logits.argmax(1) != repeated.y).view(shape)

    def _transformed(self, batch: Batch, transforms: Tensor) -> Tensor:
        """Each image after its own transform (B, 3)."""
        degrees, dx, dy = transforms.unbind(1)
        moved = transform(batch.x, degrees, dx, dy, self.interpolation, self.fill)
        return moved.clamp(*batch.bounds)  # resampling may round to more than 1


def evenly(limit: float, number: int) -> list[float]:
    """An odd number of values from -limit to limit, 0 in the middle; 0 alone if limit is 0."""
    half = number // 2 if limit else 0
    return [limit * step / half for step in range(-half, half + 1)] if half else [0.0]
