"""The bijection in closed form: inverse, log-determinant, and what its parts know."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from invspec.datasets.spheres import Spheres
from invspec.kinds import Bijective
from invspec.models.spherical_coordinates import Spherical, SphericalCoordinates

D = 6


def net(d: int = D) -> Spherical:
    return SphericalCoordinates().build((1, 1, d), 2).double()


def points(n: int = 50, d: int = D) -> Tensor:
    return torch.randn(n, 1, 1, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_decode_inverts_encode() -> None:
    model, x = net(), points()
    assert isinstance(model, Bijective)
    semantic, nuisance = model.encode(x)
    assert (semantic.shape, nuisance.shape) == ((50, 2), (50, D - 2))
    torch.testing.assert_close(model.decode(semantic, nuisance), x, rtol=0, atol=1e-12)


def test_the_log_determinant_is_that_of_the_jacobian() -> None:
    model, x = net(), points(5)
    for point in x:
        jacobian = torch.autograd.functional.jacobian(
            lambda flat: torch.cat(model.encode(flat.view(1, 1, 1, D)), dim=1)[0], point.flatten()
        )
        expected = torch.linalg.slogdet(jacobian).logabsdet
        found = model.encode_with_log_det(point[None])[2][0]
        assert found.item() == pytest.approx(expected.item(), abs=1e-9)


def test_the_logits_differ_by_the_logarithm_of_the_radius() -> None:
    x = points()
    first, second = net()(x).unbind(1)
    expected = 10 * (x.flatten(1).norm(dim=1) / math.sqrt(10)).log()
    torch.testing.assert_close(second - first, expected, rtol=0, atol=1e-12)


def test_the_nuisance_does_not_change_with_the_radius() -> None:
    model, x = net(), points()
    torch.testing.assert_close(model.encode(3 * x)[1], model.encode(x)[1], rtol=1e-12, atol=0)


def test_it_is_right_on_the_spheres_and_its_metamers_keep_their_radius() -> None:
    (batch,) = Spheres(test=2000).load("test").batches(2000)
    model, x = net(100), batch.x.double()
    semantic, nuisance = model.encode(x)
    assert torch.equal(semantic.argmax(1), batch.y)
    metamers = model.decode(semantic, nuisance.flip(0))
    torch.testing.assert_close(
        metamers.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1), rtol=1e-12, atol=0
    )


def test_the_parts_are_uncorrelated_if_directions_are_uniform() -> None:
    semantic, nuisance = net(4).encode(points(100_000, 4))
    constant = semantic.mean(1)
    # the angle of the projection is bounded, unlike its length
    angle = torch.atan2(*nuisance.unbind(1))
    for other in (angle, nuisance.norm(dim=1).atan()):
        assert torch.corrcoef(torch.stack([constant.tanh(), other]))[0, 1].abs() < 0.015


def test_the_centre_and_the_axes_have_finite_codes() -> None:
    x = torch.zeros(3, 1, 1, D, dtype=torch.float64)
    x[1, ..., -1], x[2, ..., -2] = 1, 1
    assert all(part.isfinite().all() for part in net().encode_with_log_det(x))


def test_three_classes_and_three_coordinates_are_refused() -> None:
    with pytest.raises(ValueError, match="2 classes, found 3"):
        SphericalCoordinates().build((1, 1, 6), 3)
    with pytest.raises(ValueError, match="at least 4 coordinates, found 3"):
        SphericalCoordinates().build((1, 1, 3), 2)
    with pytest.raises(ValidationError, match="expected inner < outer"):
        SphericalCoordinates(inner=10, outer=1)
