"""A weightless bijection of `spheres` whose logits know the radius and whose nuisance does not."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from invspec.kinds import Model, Number
from invspec.ops.types import Shape

# Smallest distance from 0 or 1 at which coordinates are taken, so that they are finite everywhere.
TINY = 1e-12


class SphericalCoordinates(Model):
    """Logits that depend on the radius, and a nuisance that is a direction: untrained, for two
    classes.

    With r = ||x||, u = x / r and t = u_d, the last coordinate of the direction,

        s = log(r / sqrt(inner * outer))        which alone tells the class
        c = artanh(t)                           a constant added to both logits
        z_s = (c - sharpness s, c + sharpness s)
        z_n = stereographic projection of (u_1, ..., u_{d-1}) / sqrt(1 - t^2) from its last axis

    This is a bijection of all points but those on the last two axes. If directions are uniform, s,
    c and z_n are independent, so that independence cross-entropy (Definition 7) has nothing left to
    do: the logits separate the spheres, the nuisance has 0 bits of the label, and metamers keep
    their radius. One coordinate of the direction has to be among the logits, which are two numbers;
    the softmax does not see it, as in the proof of Lemma 10.

    Computed in float64, returned in the precision of the input.

    Raises: ValueError if there are not two classes, or fewer than four coordinates.
    """

    weights_from: ClassVar[Literal["drawn", "published", "none"]] = "none"

    inner: Number = Field(
        default=1.0, gt=0, description="radius of the sphere of label 0, as in the data set"
    )
    outer: Number = Field(
        default=10.0,
        gt=0,
        description="radius of the sphere of label 1, as in the data set: 1.3 for spheres_gilmer",
    )
    sharpness: Number = Field(
        default=5.0,
        gt=0,
        description="half the difference of the logits at e times the middle radius",
    )

    @model_validator(mode="after")
    def _one_in_the_other(self) -> Self:
        if self.inner >= self.outer:
            raise ValueError(f"expected inner < outer, found {self.inner:g} and {self.outer:g}")
        return self

    def build(self, shape: Shape, classes: int) -> Spherical:
        if classes != 2:
            raise ValueError(f"SphericalCoordinates needs a data set of 2 classes, found {classes}")
        if (d := math.prod(shape)) < 4:
            raise ValueError(f"SphericalCoordinates needs at least 4 coordinates, found {d}")
        middle = (math.log(self.inner) + math.log(self.outer)) / 2
        return Spherical(shape, middle, self.sharpness)


class Spherical(nn.Module):
    """The bijection; implements kinds.Bijective. middle is the logarithm of the middle radius."""

    def __init__(self, shape: Shape, middle: float, sharpness: float) -> None:
        super().__init__()
        self.shape, self.middle, self.sharpness = shape, middle, sharpness

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, 2)."""
        return self.encode(x)[0]

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) to semantic (B, 2) and nuisance (B, d - 2)."""
        semantic, nuisance, _ = self.encode_with_log_det(x)
        return semantic, nuisance

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The code, and the log of the Jacobian's absolute determinant (B,), in nats."""
        points = x.flatten(1).double()
        d = points.shape[1]
        log_r = length(points).log()
        along, across = points[:, -1], length(points[:, :-1])
        # artanh(t) is arsinh(t / sqrt(1 - t^2)), which does not cancel near the axis
        c = (along / across).asinh()
        v = points[:, :-1] / across[:, None]
        nuisance = v[:, :-1] / (1 - v[:, -1:]).clamp_min(TINY)
        s = self.sharpness * (log_r - self.middle)
        semantic = torch.stack([c - s, c + s], dim=1)
        # dx = r^d cosh(c)^(1 - d) (2 / (1 + |z_n|^2))^(d - 2) d(log r) dc dz_n
        spread = (2 / (1 + nuisance.square().sum(1))).log()
        log_cosh = (1 + (along / across).square()).log() / 2
        log_det = math.log(2 * self.sharpness) - d * log_r + (d - 1) * log_cosh - (d - 2) * spread
        dtype = x.dtype
        return (
            semantic.to(dtype),
            nuisance.to(dtype),
            log_det.to(torch.promote_types(dtype, torch.float32)),
        )

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        """The inverse of encode: x (B, C, H, W)."""
        first, second = semantic.double().unbind(1)
        p = nuisance.double()
        c, s = (first + second) / 2, (second - first) / 2
        r = (s / self.sharpness + self.middle).exp()
        square = p.square().sum(1, keepdim=True)
        v = torch.cat([2 * p, square - 1], dim=1) / (square + 1)
        points = torch.cat([v / c.cosh()[:, None], c.tanh()[:, None]], dim=1) * r[:, None]
        return points.view(-1, *self.shape).to(semantic.dtype)


def length(x: Tensor) -> Tensor:
    """The l2 length of x (B, d), at least TINY: (B,)."""
    return x.norm(dim=1).clamp_min(TINY)
