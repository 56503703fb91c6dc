"""Examples 5 and 6 of Jacobsen et al. (2019): two classifiers of spheres, perfect both, and what
moves past one.
"""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from scipy.stats import beta
from torch import Tensor

from invspec.attacks.sphere_shift import SphereShift
from invspec.data import Batch
from invspec.datasets.spheres import Spheres
from invspec.models.radius_classifier import RadiusClassifier
from invspec.ops.draws import PerExample

N = 100_000
FAR, NEAR = Spheres(test=N), Spheres(d=500, inner=1, outer=1.3, test=10_000)
both = pytest.mark.parametrize("spheres", [FAR, NEAR], ids=["jacobsen", "gilmer"])


@cache
def points(spheres: Spheres) -> Batch:
    (batch,) = spheres.load("test").batches(spheres.test)
    return batch


@cache
def moved(spheres: Spheres) -> Tensor:
    batch = points(spheres)
    net = classifier(spheres)
    return (
        SphereShift(outer=spheres.outer).perturb(net, batch, PerExample("task", batch.index)).x_adv
    )


def classifier(spheres: Spheres, ignored: int = 0) -> torch.nn.Module:
    return RadiusClassifier(inner=spheres.inner, outer=spheres.outer, ignored=ignored).build(
        spheres.shape, 2
    )


def predict(spheres: Spheres, x: Tensor, ignored: int = 0) -> Tensor:
    return classifier(spheres, ignored)(x).argmax(1)


def shown(spheres: Spheres, x: Tensor) -> Tensor:
    """The label by radius: 1 on the outer sphere, 0 on the inner one."""
    radius = x.flatten(1).double().norm(dim=1)
    on_outer, on_inner = ((radius / r - 1).abs() < 1e-6 for r in (spheres.outer, spheres.inner))
    assert (on_outer | on_inner).all()
    return on_outer.long()


@both
@pytest.mark.parametrize("ignored", [0, 1], ids=["example 5", "example 6"])
def test_both_classifiers_are_perfect_on_any_finite_sample(spheres: Spheres, ignored: int) -> None:
    batch = points(spheres)
    assert predict(spheres, batch.x, ignored).equal(batch.y)


@pytest.mark.parametrize(
    ("d", "inner", "outer", "chance"), [(100, 1, 10, "1.9e-27"), (500, 1, 1.3, "2.0e-28")]
)
def test_the_misaligned_one_errs_by_less_than_one_in_1e26(
    d: int, inner: float, outer: float, chance: str
) -> None:
    """x_d^2 / ||x||^2 has the distribution Beta(1/2, (d - 1) / 2); an outer point is misread above
    a threshold.
    """
    least = 1 - ((inner + outer) / (2 * outer)) ** 2
    assert f"{beta.sf(least, 0.5, (d - 1) / 2):.1e}" == chance


def test_the_last_coordinate_is_distributed_as_that_chance_supposes() -> None:
    x = points(FAR).x.flatten(1).double()
    share = x[:, -1].square() / x.square().sum(1)
    for least in (0.001, 0.01, 0.05):
        expected = beta.sf(least, 0.5, 99 / 2)
        assert (share > least).double().mean().item() == pytest.approx(
            expected, abs=4 * math.sqrt(expected / N)
        )


@both
def test_shifted_points_are_on_the_outer_sphere_and_only_the_aligned_classifier_sees_it(
    spheres: Spheres,
) -> None:
    batch, x_adv = points(spheres), moved(spheres)
    inner = batch.y == 0
    assert shown(spheres, x_adv).all()
    assert x_adv[~inner].equal(batch.x[~inner])
    assert x_adv[inner][..., :-1].equal(batch.x[inner][..., :-1])
    assert predict(spheres, x_adv, ignored=1).equal(batch.y)
    assert predict(spheres, x_adv).all()


@both
def test_under_the_shift_the_misaligned_classifier_is_right_by_chance_alone(
    spheres: Spheres,
) -> None:
    batch, x_adv = points(spheres), moved(spheres)
    right = predict(spheres, x_adv, ignored=1) == shown(spheres, x_adv)
    assert right.equal(batch.y == 1)  # exactly the outer ones, which are as many as the coin gave
    share, n = right.double().mean().item(), len(right)
    assert share == pytest.approx(0.5, abs=2.6 / (2 * math.sqrt(n)))  # binomial, 99 %
    assert not right[batch.y == 0].any()
