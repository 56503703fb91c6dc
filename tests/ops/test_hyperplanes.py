"""Steps to a hyperplane within the box, against closed forms without a box and general solvers."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from scipy.optimize import linprog, minimize
from torch import Tensor

from invspec.ops.hyperplanes import step_to_hyperplane
from invspec.ops.norms import size

NORMS: tuple[Literal["linf", "l2"], ...] = ("linf", "l2")
N, D = 24, 9


def problems(reach: float) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, D) in [0, 1], gaps (N,) and normals (N, D), with a quarter of their entries 0."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(N, D, generator=generator)
    x[:, 0] = 0  # a pixel at its bound
    normal = torch.randn(N, D, generator=generator)
    normal[torch.rand(N, D, generator=generator) < 0.25] = 0
    return x.double(), reach * torch.randn(N, generator=generator).double(), normal.double()


def reachable(x: Tensor, gap: Tensor, normal: Tensor) -> Tensor:
    """Whether the linear function has a zero in the box, (N,) bool."""
    corner = torch.where(normal * gap.sign().unsqueeze(1) > 0, 0.0, 1.0).to(x)
    return (gap + (normal * (corner - x)).sum(1)) * gap.sign() <= 0


@pytest.mark.parametrize("norm", NORMS)
def test_without_a_box_the_step_has_length_gap_over_dual_norm(
    norm: Literal["linf", "l2"],
) -> None:
    x, gap, normal = problems(1.0)
    step = step_to_hyperplane(x, gap, normal, (-torch.inf, torch.inf), norm)
    torch.testing.assert_close(
        gap + (normal * step).sum(1), torch.zeros_like(gap), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(
        size(step, norm), gap.abs() / size(normal, "l1" if norm == "linf" else "l2")
    )


@pytest.mark.parametrize("norm", NORMS)
def test_the_step_reaches_the_hyperplane_if_the_box_allows_and_never_leaves_it(
    norm: Literal["linf", "l2"],
) -> None:
    x, gap, normal = problems(1.5)
    step = step_to_hyperplane(x, gap, normal, (0.0, 1.0), norm)
    assert -1e-12 <= (x + step).min() <= (x + step).max() <= 1 + 1e-12
    can = reachable(x, gap, normal)
    assert 0 < can.sum() < N
    distance = (gap + (normal * step).sum(1)).abs()
    assert distance[can].max() < 1e-12
    assert distance[~can].min() > 0


def shortest_linf(x: Tensor, gap: Tensor, normal: Tensor) -> float:
    """min t with normal . step = -gap, |step_i| <= t, 0 <= x + step <= 1, as a linear programme."""
    identity, ones = torch.eye(D).double(), torch.ones(D, 1).double()
    within = torch.cat([torch.cat([identity, -ones], 1), torch.cat([-identity, -ones], 1)])
    equation = torch.cat([normal, torch.zeros(1).double()]).unsqueeze(0)
    bounds = [*((-float(at), 1 - float(at)) for at in x), (0, None)]
    objective = [0.0] * D + [1.0]
    solved = linprog(
        objective, within.numpy(), [0.0] * 2 * D, equation.numpy(), [-float(gap)], bounds
    )
    return solved.fun


def shortest_l2(x: Tensor, gap: Tensor, normal: Tensor) -> float:
    w, at = normal.numpy(), x.numpy()
    equation = {"type": "eq", "fun": lambda step: float(gap) + w @ step, "jac": lambda step: w}
    bounds = [(-float(low), 1 - float(low)) for low in at]
    solved = minimize(
        lambda step: step @ step,
        [0.0] * D,
        jac=lambda step: 2 * step,
        bounds=bounds,
        constraints=[equation],
        options={"ftol": 1e-14},
    )
    return solved.fun**0.5


@pytest.mark.parametrize(
    ("norm", "solve"), [("linf", shortest_linf), ("l2", shortest_l2)], ids=NORMS
)
def test_no_step_within_the_box_is_shorter(norm, solve) -> None:
    x, gap, normal = problems(0.7)
    lengths = size(step_to_hyperplane(x, gap, normal, (0.0, 1.0), norm), norm)
    for row in reachable(x, gap, normal).nonzero().flatten().tolist():
        assert float(lengths[row]) == pytest.approx(solve(x[row], gap[row], normal[row]), abs=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_towards_a_hyperplane_outside_the_box_the_step_ends_in_the_nearest_corner(
    norm: Literal["linf", "l2"],
) -> None:
    x, normal = torch.tensor([[0.25, 0.5, 0.75]]), torch.tensor([[2.0, -1.0, 0.0]])
    step = step_to_hyperplane(x, torch.tensor([-9.0]), normal, (0.0, 1.0), norm)
    torch.testing.assert_close(step, torch.tensor([[0.75, -0.5, 0.0]]))


@pytest.mark.parametrize("norm", NORMS)
def test_without_slope_or_gap_the_step_is_0(norm: Literal["linf", "l2"]) -> None:
    x, flat = torch.full((2, 3), 0.5), torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    step = step_to_hyperplane(x, torch.tensor([1.0, 0.0]), flat, (0.0, 1.0), norm)
    assert torch.equal(step, torch.zeros(2, 3))


@pytest.mark.parametrize("norm", NORMS)
def test_a_step_does_not_depend_on_the_other_images(norm: Literal["linf", "l2"]) -> None:
    x, gap, normal = problems(1.0)
    together = step_to_hyperplane(x, gap, normal, (0.0, 1.0), norm)
    alone = [
        step_to_hyperplane(x[i : i + 1], gap[i : i + 1], normal[i : i + 1], (0.0, 1.0), norm)
        for i in range(N)
    ]
    torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=0)
