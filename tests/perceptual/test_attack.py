"""Common parts of perceptual attacks, against closed forms for linear features phi(x) = A x."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from perceptual_toys import halves, linear_probe, net, probe_of
from torch import Tensor

from invspec.attacks.lpa import FastLPA
from invspec.ops.norms import size
from invspec.perceptual.attack import FeatureProbe, bisect, descend, newton

A = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


def steps_away(n: int = 6) -> tuple[FeatureProbe, Tensor]:
    """A probe with features A x, and images in random directions from x."""
    probe = linear_probe(A, n)
    return probe, probe.batch.x + 0.4 * (
        torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(1)) - 0.5
    )


def test_bisection_finds_the_factor_eps_over_length_from_below() -> None:
    probe, images = steps_away()
    delta = images - probe.batch.x
    length = size(delta.flatten(1) @ A.T, "l2")
    eps = 0.6 * length.min().item()
    result = (bisect(probe, images, torch.arange(len(images)), eps) - probe.batch.x).flatten(
        1
    ).norm(dim=1) / delta.flatten(1).norm(dim=1)
    below = eps / length - result
    assert below.min() > -1e-6
    assert below.max() <= 2**-10 + 1e-6


def test_bisection_returns_x_where_no_other_image_is_inside() -> None:
    probe, images = steps_away()
    assert torch.equal(bisect(probe, images, torch.arange(len(images)), 1e-9), probe.batch.x)


def test_descent_moves_linear_features_by_exactly_the_length() -> None:
    """The speed of the features is ||A g||, so that the step is length / ||A g||."""
    probe, images = steps_away()
    gradient = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    moved = descend(probe, images, probe.embedding(images), gradient, 0.01)
    step = (moved - images).flatten(1)
    assert size(step @ A.T, "l2").tolist() == pytest.approx([0.01] * 6, rel=1e-3)
    unit = gradient.flatten(1) / gradient.flatten(1).norm(dim=1, keepdim=True)
    expected = 0.01 / (unit @ A.T).norm(dim=1)
    torch.testing.assert_close(-(step * unit).sum(1), expected, rtol=1e-3, atol=0)


def test_descent_stays_where_there_is_no_gradient_and_within_the_box() -> None:
    probe, images = steps_away()
    still = descend(probe, images, probe.embedding(images), torch.zeros_like(images), 1.0)
    assert torch.equal(still, images)
    far = descend(probe, images, probe.embedding(images), torch.ones_like(images), 1e3)
    assert torch.equal(far, torch.zeros_like(far))


def test_newton_ends_inside_by_about_a_tenth() -> None:
    probe = linear_probe(2 * torch.eye(4), 1)
    images = probe.batch.x + 0.3
    before = probe.distance(images).item()  # 2 * sqrt(4) * 0.3
    result, failed = newton(probe, images, torch.arange(len(images)), 0.9)
    assert not len(failed)
    assert probe.distance(result).item() == pytest.approx(
        before - 1.1 * (before - 0.9 + 0.1), abs=1e-5
    )


def flat_in_steps(images: Tensor) -> Tensor:
    """Features whose gradient is 0."""
    return (10 * images.flatten(1)).round() / 10 + 0 * images.flatten(1)


class Shrinking(FastLPA):
    """Used for its projection only."""


@pytest.mark.parametrize("projection", ["bisection", "newton"])
def test_where_newton_fails_bisection_projects(projection: Any) -> None:
    batch = halves()
    probe = probe_of(net(), batch, "l2", flat_in_steps)
    images = (batch.x + 0.25).clamp(0, 1)
    outside = probe.distance(images) > 0.5
    assert outside.all()
    result = Shrinking(max_distance=0.5, distance="l2", projection=projection)._projected(
        probe, images
    )
    assert probe.distance(result).max() <= 0.5
    assert (result != images).flatten(1).any(1).all()


@pytest.mark.parametrize("projection", ["bisection", "newton", "none"])
def test_images_inside_the_ball_stay_as_they_are(projection: Any) -> None:
    probe, images = steps_away()
    attack = Shrinking(max_distance=100, distance="l2", projection=projection)
    assert torch.equal(attack._projected(probe, images), images)


def test_a_squared_distance_has_its_root_as_radius() -> None:
    assert FastLPA(distance="lpips_alex", max_distance=0.04)._radius == pytest.approx(0.2)
    assert FastLPA(distance="laidlaw_alex", max_distance=0.04)._radius == 0.04


def test_only_passes_through_the_attacked_model_are_counted() -> None:
    batch = halves(4)
    own, other = probe_of(net(), batch, "laidlaw_self"), probe_of(net(), batch, "l2")
    rows = torch.tensor([1, 3])
    for probe in (own, other):
        probe.distance_and_gradient(batch.x[rows], rows)
        images = batch.x[rows].requires_grad_()
        logits, _ = probe.logits_and_features(images, rows)
        probe.gradient(logits[:, 0], images, rows)
    images = batch.x.clone().requires_grad_()
    own.vjp(torch.ones_like(own.reference), own.embedding(images), images)
    counts = own.search.result()
    # the reference, the distance, and logits with features
    assert counts.forwards.tolist() == [1, 3, 1, 3]
    # the distance, the gradient of a logit, and J'
    assert counts.backwards.tolist() == [1, 3, 1, 3]
    counts = other.search.result()
    assert counts.forwards.tolist() == counts.backwards.tolist() == [0, 1, 0, 1]
