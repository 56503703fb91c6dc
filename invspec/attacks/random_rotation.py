"""Random rotations, for invariance profiles."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Degrees
from invspec.ops.draws import Draws
from invspec.ops.geometry import Fill, Interpolation, rotate


class RandomRotation(Attack):
    """Rotate each image by an angle drawn uniformly from [-max_degrees, max_degrees].

    The angle is max_degrees * u, where u in [-1, 1) depends only on the image and on `draw`. So
    profiles of different models and different max_degrees share their draws. The model is not run.

    Deviates: the authors use nearest-neighbour resampling; the default here is bilinear.
    """

    ignores_model: ClassVar[bool] = True

    max_degrees: Degrees = Field(
        default=180.0, ge=0, le=180, description="half-width of the range of angles"
    )
    interpolation: Interpolation = Field(
        default="bilinear", description="resampling: bilinear, or nearest as the authors use"
    )
    fill: Fill = Field(
        default="zero",
        description="pixels from outside the image: zero (black, as the authors use) or reflect",
    )
    draw: int = Field(default=0, ge=0, description="index of an independent set of angles")

    @property
    def gradient_loss(self) -> None:
        return None

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        u = 2 * rng.named(f"random_rotation/{self.draw}").uniform((len(batch),)) - 1
        rotated = rotate(batch.x, self.max_degrees * u, self.interpolation, self.fill)
        # resampling may round to more than 1
        return Perturbed.costing(rotated.clamp(*batch.bounds), forwards=0, backwards=0)
