"""Bases of planes, and points of circles, squares and triangles."""

from __future__ import annotations

import torch
from torch import Tensor

from invspec.ops.plane import (
    barycentric_grid,
    circle_points,
    combined,
    orthonormal,
    square_grid,
)


def axis(place: int, length: float) -> Tensor:
    x = torch.zeros(1, 1, 6)
    x[0, 0, place] = length
    return x


def test_the_basis_of_a_plane_is_orthonormal_and_begins_with_x() -> None:
    rng = torch.Generator().manual_seed(0)
    for nearly in (1.0, 1e-5):
        x = torch.randn(1, 1, 100, generator=rng, dtype=torch.float64)
        other = x + nearly * torch.randn(1, 1, 100, generator=rng, dtype=torch.float64)
        basis = orthonormal(x, other)
        assert basis is not None
        flat = basis.flatten(1)
        torch.testing.assert_close(flat @ flat.mT, torch.eye(2).double(), rtol=0, atol=1e-12)
        torch.testing.assert_close(flat[0], (x / x.norm()).flatten())
        torch.testing.assert_close(
            (flat @ other.flatten()) @ flat, other.flatten(), rtol=0, atol=1e-12
        )


def test_points_on_a_line_through_the_centre_span_no_plane() -> None:
    x = axis(2, 3.0)
    assert orthonormal(x, -2 * x) is None
    assert orthonormal(x, 0 * x) is None
    assert orthonormal(0 * x, x) is None


def test_points_of_a_circle_have_its_radius_and_turn_counter_clockwise() -> None:
    radii = torch.tensor([1.0, 10.0]).double()
    points = circle_points(radii, 8)
    torch.testing.assert_close(points.norm(dim=-1), radii[:, None].expand(2, 8))
    # a quarter of a turn
    torch.testing.assert_close(points[1, 2], torch.tensor([0.0, 10.0]).double())


def test_a_square_rises_to_the_right_and_along_rows() -> None:
    at = square_grid(5, 2.0)
    assert at[0, :, 0].tolist() == at[:, 0, 1].tolist() == [-2, -1, 0, 1, 2]


def test_the_grid_has_66_points_and_reproduces_its_corners_exactly() -> None:
    weights = barycentric_grid(10)
    assert weights.shape == (66, 3)
    torch.testing.assert_close(weights.sum(1), torch.ones(66))
    assert len({tuple(point) for point in (10 * weights).round().int().tolist()}) == 66
    corners = torch.rand(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    images = combined(corners, weights)
    for corner in range(3):
        (at,) = (weights[:, corner] == 1).nonzero()
        assert torch.equal(images[:, int(at)], corners[:, corner])
