"""Points of planes through 0 and points of triangles."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# a point is on a line through 0 if it is within this share of its length from it
FLAT = 1e-6


# ─ planes ─────────────────────────────────────────────────────────────────────────────────────────


def orthonormal(x: Tensor, other: Tensor) -> Tensor | None:
    """The directions of x and of the component of other orthogonal to x: (2, C, H, W).

    None where the two points are on a line through 0.

    >>> orthonormal(torch.tensor([2.0, 0.0]), torch.tensor([3.0, 4.0]))
    tensor([[1., 0.],
            [0., 1.]])
    """
    length = x.norm()
    if length == 0 or other.norm() == 0:
        return None
    first = x / length
    second = other - (other * first).sum() * first
    # twice, because rounding leaves a component along x
    second = second - (second * first).sum() * first
    if second.norm() <= FLAT * other.norm():
        return None
    return torch.stack([first, second / second.norm()])


def circle_points(radii: Tensor, count: int) -> Tensor:
    """Equally spaced points on circles with radii (R,), counter-clockwise: (R, count, 2) float64.

    >>> circle_points(torch.tensor([3.0]), 4).round().tolist()
    [[[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0], [-0.0, -3.0]]]
    """
    turn = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    return radii[:, None, None] * torch.stack([turn.cos(), turn.sin()], dim=1)


def square_grid(resolution: int, extent: float) -> Tensor:
    """Points (H, W, 2) float64 of a square: x rises along W, and y along H.

    >>> square_grid(2, 1.0).tolist()
    [[[-1.0, -1.0], [1.0, -1.0]], [[-1.0, 1.0], [1.0, 1.0]]]
    """
    side = torch.linspace(-extent, extent, resolution, dtype=torch.float64)
    return torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1)


# ─ triangles ──────────────────────────────────────────────────────────────────────────────────────


def barycentric_grid(divisions: int) -> Tensor:
    """Barycentric weights (G, 3) of the points of a triangle's grid.

    G = (n + 1)(n + 2) / 2 for n divisions.

    >>> barycentric_grid(1).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    n = divisions
    # whole numbers, because comparisons of floats would lose points
    points = [[n - i - j, i, j] for i in range(n + 1) for j in range(n + 1 - i)]
    return torch.tensor(points).float() / n


def combined(corners: Tensor, weights: Tensor) -> Tensor:
    """Images (M, G, C, H, W) of triangles (M, 3, C, H, W) at weights (G, 3).

    A weight of 1 gives the corner itself.
    """
    # products and sums, since a matrix product may have lower precision
    at = weights.view(*weights.shape, 1, 1, 1)
    terms = (at[:, v] * corners[:, v, None] for v in range(1, 3))
    return sum(terms, at[:, 0] * corners[:, 0, None])
