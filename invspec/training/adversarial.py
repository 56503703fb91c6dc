"""Perturbations that grow over the first part of a training."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

Ramp = Annotated[
    float, Field(ge=0, le=1, description="share of the updates before perturbations have full size")
]


def ramped(x: Tensor, x_adv: Tensor, progress: float, ramp: float) -> Tensor:
    """x_adv, or a point on the way to it from x, both (B, C, H, W), while progress is below ramp."""
    return torch.lerp(x, x_adv, progress / ramp) if progress < ramp else x_adv
