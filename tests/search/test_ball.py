from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.ops.draws import Draws, PerExample
from invspec.ops.norms import size
from invspec.ops.types import Norm
from invspec.search.ball import Ball, at_length, can_move, eps_0_skips_model, random_direction

NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
every_norm = pytest.mark.parametrize("norm", NORMS)
UNIT = torch.tensor([0.5, 0.25]).view(1, 2, 1, 1)


def images(n: int = 50) -> Tensor:
    return torch.rand(n, 2, 3, 3, generator=torch.Generator().manual_seed(0))


def draws(x: Tensor) -> PerExample:
    return PerExample("task", torch.arange(len(x)))


@every_norm
@pytest.mark.parametrize("unit", [None, UNIT], ids=["pixels", "units of its own"])
def test_starts_lie_in_the_ball_and_the_box_and_differ(norm: Norm, unit: Tensor | None) -> None:
    ball, x = Ball(norm, 0.4, (0.0, 1.0), unit), images()
    start = ball.start(x, draws(x))
    assert ball.contains(start, x, slack=1e-6).all()
    assert len(size(start - x, norm).unique()) == len(x)


@every_norm
@pytest.mark.parametrize("unit", [None, UNIT], ids=["pixels", "units of its own"])
def test_a_projection_lies_in_the_ball_and_leaves_its_points_alone(
    norm: Norm, unit: Tensor | None
) -> None:
    ball, x = Ball(norm, 0.4, (0.0, 1.0), unit), images()
    far = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    assert not ball.contains(far, x).any()
    near = ball.project(far, x)
    assert ball.contains(near, x, slack=1e-5).all()
    torch.testing.assert_close(ball.project(near, x), near)


@every_norm
def test_a_step_within_the_ball_has_its_length(norm: Norm) -> None:
    ball, x = Ball(norm, 9.0, (-torch.inf, torch.inf)), images()
    gradient = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    length = torch.linspace(0.1, 0.2, len(x))
    torch.testing.assert_close(size(ball.step(x, gradient, x, length) - x, norm), length)
    moved = ball.step(x, gradient, x, 0.1)
    torch.testing.assert_close(size(moved - x, norm), torch.full((len(x),), 0.1))


@every_norm
def test_an_image_beyond_the_ball_or_the_box_is_not_contained(norm: Norm) -> None:
    ball, x = Ball(norm, 0.2, (0.0, 1.0)), torch.zeros(3, 1, 1, 1)
    x_adv = torch.tensor([0.1, 0.3, -0.1]).view(3, 1, 1, 1)
    assert ball.contains(x_adv, x).tolist() == [True, False, False]


@every_norm
def test_noise_has_the_length_that_is_wanted(norm: Norm) -> None:
    x = images()
    direction = random_direction(x, norm, draws(x))
    torch.testing.assert_close(size(direction, norm), torch.ones(len(x)))
    length = torch.linspace(0.1, 0.2, len(x))
    torch.testing.assert_close(size(at_length(direction, length, norm), norm), length)


def test_a_pixel_can_move_if_it_is_away_from_the_bound_ahead() -> None:
    x, gradient = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.5]), torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
    assert can_move(x, gradient, (0.0, 1.0)).tolist() == [True, False, False, True, True]
    assert not can_move(x, gradient, (0.0, 1.0), gap=0.6)[-1]


class Attack:
    """An attack that is not to be run with eps 0."""

    def __init__(self, eps: float) -> None:
        self.eps = eps

    @eps_0_skips_model
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        assert self.eps > 0
        return Perturbed.costing(batch.x + self.eps, forwards=1, backwards=1)


def test_eps_0_returns_x_and_skips_the_model() -> None:
    batch = Batch(images(2), torch.zeros(2, dtype=torch.int64), torch.arange(2))
    for eps, passes in ((0.0, 0), (0.5, 1)):
        result = Attack(eps).perturb(nn.Identity(), batch, draws(batch.x))
        assert torch.equal(result.x_adv, batch.x + eps)
        assert result.forwards.tolist() == result.backwards.tolist() == [passes, passes]
