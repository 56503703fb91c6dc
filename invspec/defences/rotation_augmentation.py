"""Training on randomly rotated images."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field
from torch import nn

from invspec.data import Batch
from invspec.defences.training import Training
from invspec.ops.draws import Stream
from invspec.ops.geometry import Interpolation, rotate


class RotationAugmentation(Training):
    """Turn each image by an angle that is uniform in [-max_degrees, max_degrees] and drawn anew each epoch."""

    max_degrees: float = Field(default=180.0, ge=0, le=180, description="half-width of the rotations, in degrees")
    interpolation: Interpolation = Field(default="bilinear", description="bilinear, or nearest as in the paper")

    def lesson(self, model: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        batch = super().lesson(model, batch, progress, rng)
        degrees = self.max_degrees * (2 * rng.uniform((len(batch),)) - 1)
        return replace(batch, x=rotate(batch.x, degrees.to(batch.x.device), interpolation=self.interpolation))
