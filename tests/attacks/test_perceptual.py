"""What perceptual attacks share, against closed forms on a linear feature map phi(x) = A x."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from perceptual_toys import eye_of, halves, linear_eye, net
from torch import Tensor

from invspec.attacks.lpa import FastLPA
from invspec.ops.norms import size
from invspec.perceptual.attack import FeatureProbe, bisected, descent, newton

A = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


def steps_away(n: int = 6) -> tuple[FeatureProbe, Tensor]:
    """An eye with features A x, and images in random directions from x."""
    eye = linear_eye(A, n)
    return eye, eye.batch.x + 0.4 * (
        torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(1)) - 0.5
    )


def test_bisection_finds_the_factor_eps_over_length_of_a_delta_from_below() -> None:
    eye, images = steps_away()
    delta = images - eye.batch.x
    length = size(delta.flatten(1) @ A.T, "l2")
    eps = 0.6 * length.min().item()
    found = (bisected(eye, images, eye.everyone, eps) - eye.batch.x).flatten(1).norm(
        dim=1
    ) / delta.flatten(1).norm(dim=1)
    below = eps / length - found
    assert below.min() > -1e-6
    assert below.max() <= 2**-10 + 1e-6


def test_bisection_returns_x_where_nothing_else_is_inside() -> None:
    eye, images = steps_away()
    assert torch.equal(bisected(eye, images, eye.everyone, 1e-9), eye.batch.x)


def test_descent_moves_the_features_of_a_linear_map_by_exactly_the_length() -> None:
    """The quotient is ||A g||, so that the step is length / ||A g||."""
    eye, images = steps_away()
    gradient = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    moved = descent(eye, images, eye.embedding(images), gradient, eye.everyone, 0.01)
    step = (moved - images).flatten(1)
    assert size(step @ A.T, "l2").tolist() == pytest.approx([0.01] * 6, rel=1e-3)
    unit = gradient.flatten(1) / gradient.flatten(1).norm(dim=1, keepdim=True)
    expected = 0.01 / (unit @ A.T).norm(dim=1)
    torch.testing.assert_close(-(step * unit).sum(1), expected, rtol=1e-3, atol=0)


def test_descent_stays_where_there_is_no_gradient_and_within_the_box() -> None:
    eye, images = steps_away()
    still = descent(eye, images, eye.embedding(images), torch.zeros_like(images), eye.everyone, 1.0)
    assert torch.equal(still, images)
    far = descent(eye, images, eye.embedding(images), torch.ones_like(images), eye.everyone, 1e3)
    assert torch.equal(far, torch.zeros_like(far))


def test_newton_lands_inside_by_about_a_tenth() -> None:
    eye = linear_eye(2 * torch.eye(4), 1)
    images = eye.batch.x + 0.3
    away = eye.away(images, eye.everyone).item()  # 2 * sqrt(4) * 0.3
    found, left = newton(eye, images, eye.everyone, 0.9)
    assert not len(left)
    assert eye.away(found, eye.everyone).item() == pytest.approx(
        away - 1.1 * (away - 0.9 + 0.1), abs=1e-5
    )


def flat_in_steps(images: Tensor) -> Tensor:
    """Features without a gradient."""
    return (10 * images.flatten(1)).round() / 10 + 0 * images.flatten(1)


class Shrinking(FastLPA):
    """Only its projection is asked for."""


@pytest.mark.parametrize("projection", ["bisection", "newton"])
def test_where_newton_fails_bisection_brings_images_in(projection: Any) -> None:
    batch = halves()
    eye = eye_of(net(), batch, "l2", flat_in_steps)
    images = (batch.x + 0.25).clamp(0, 1)
    outside = eye.away(images, eye.everyone) > 0.5
    assert outside.all()
    found = Shrinking(max_distance=0.5, distance="l2", projection=projection)._projected(
        eye, images
    )
    assert eye.away(found, eye.everyone).max() <= 0.5
    assert (found != images).flatten(1).any(1).all()


@pytest.mark.parametrize("projection", ["bisection", "newton", "none"])
def test_images_inside_the_ball_stay_as_they_are(projection: Any) -> None:
    eye, images = steps_away()
    attack = Shrinking(max_distance=100, distance="l2", projection=projection)
    assert torch.equal(attack._projected(eye, images), images)


def test_a_squared_distance_has_its_root_as_radius() -> None:
    assert FastLPA(distance="lpips_alex", max_distance=0.04)._radius == pytest.approx(0.2)
    assert FastLPA(distance="laidlaw_alex", max_distance=0.04)._radius == 0.04


def test_passes_through_the_model_are_counted_only_where_there_are_any() -> None:
    batch = halves(4)
    own, other = eye_of(net(), batch, "laidlaw_self"), eye_of(net(), batch, "l2")
    rows = torch.tensor([1, 3])
    for eye in (own, other):
        eye.away_and_gradient(batch.x[rows], rows)
        images = batch.x[rows].requires_grad_()
        logits, features = eye.look(images, rows)
        eye.gradient(logits[:, 0], images, rows)
        eye.pulled_back(torch.ones_like(features), features, images, rows)
    assert own.forwards.tolist() == [1, 3, 1, 3]  # the reference, the distance, the look
    assert own.backwards.tolist() == [0, 3, 0, 3]
    assert other.forwards.tolist() == other.backwards.tolist() == [0, 1, 0, 1]
