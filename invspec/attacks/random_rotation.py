"""Random rotations, the transformation of invariance profiles."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Degrees
from invspec.ops.draws import Draws
from invspec.ops.geometry import Fill, Interpolation, rotate


class RandomRotation(Attack):
    """Turn each image by an angle drawn uniformly from [-max_degrees, max_degrees], whatever the model.

    The angle is max_degrees * u, where u in [-1, 1) belongs to the image and to `draw` alone: profiles of different
    models, and of different max_degrees, compare the same turns.

    Deviates: the authors' images are resampled by nearest neighbours; bilinear is the default here.
    """

    max_degrees: Degrees = Field(
        default=180.0, ge=0, le=180, description="half-width of the range of angles"
    )
    interpolation: Interpolation = Field(
        default="bilinear", description="how to resample; nearest is the authors'"
    )
    fill: Fill = Field(
        default="zero", description="corners that turn in: zero (black, the authors') or reflect"
    )
    draw: int = Field(default=0, ge=0, description="which of the independent sets of angles")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        u = 2 * rng.named(f"random_rotation/{self.draw}").uniform((len(batch),)) - 1
        turned = rotate(batch.x, self.max_degrees * u, self.interpolation, self.fill)
        return Perturbed.costing(
            turned.clamp(*batch.bounds), forwards=0, backwards=0
        )  # resampling rounds past 1
