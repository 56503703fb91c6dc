"""Weightless classifiers of two classes: the sign of a sum of coordinates."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.kinds import Model
from invspec.ops.contrast import contrast
from invspec.ops.types import Shape


class SignClassifier(Model):
    """Label 1 if a sum of coordinates of the flattened image is positive, else 0; untrained.

    first: coordinate 0. sum_odd: coordinates 1, 3, 5, ... odd_minus_even: those minus coordinates
    2, 4, 6, ... The logits are (-sum, sum). A sum of 0, which has probability 0 on
    `shuffled_gaussians`, has label 0.
    """

    weights_from: ClassVar[Literal["drawn", "published", "none"]] = "none"

    over: Literal["first", "sum_odd", "odd_minus_even"] = Field(
        default="sum_odd", description="which sum: first, sum_odd or odd_minus_even"
    )
    negate: bool = Field(default=False, description="whether to swap the two labels")

    def build(self, shape: Shape, classes: int) -> SignOfSum:
        if classes != 2:
            raise ValueError(f"SignClassifier needs a data set of 2 classes, found {classes}")
        coefficients = self._coefficients(math.prod(shape))
        return SignOfSum(-coefficients if self.negate else coefficients)

    def _coefficients(self, length: int) -> Tensor:
        """(length,)."""
        match self.over:
            case "first":
                return (torch.arange(length) == 0).float()
            case "sum_odd":
                return (torch.arange(length) % 2 == 1).float()
            case "odd_minus_even":
                return contrast(length)


class SignOfSum(nn.Module):
    """x (B, C, H, W) to logits (B, 2).

    The coefficients (C * H * W,) are settings, so they are not in the state dict.
    """

    coefficients: Tensor

    def __init__(self, coefficients: Tensor) -> None:
        super().__init__()
        self.register_buffer("coefficients", coefficients, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        total = x.flatten(1) @ self.coefficients
        return torch.stack([-total, total], dim=1)
