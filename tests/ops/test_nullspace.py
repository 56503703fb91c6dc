from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from invspec.ops.nullspace import (
    Projection,
    alpha_max,
    dot,
    effective_map,
    flips,
    null_component,
    project_held,
    project_out,
    project_out_within,
    row_space,
)

PROJECTIONS: tuple[Projection, ...] = ("one_sided", "two_sided", "none", "printed")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def cosine(u: Tensor, gradient: Tensor) -> Tensor:
    """Cosine of the angle between them, (B,)."""
    return dot(u, gradient) / (dot(u, u) * dot(gradient, gradient)).sqrt()


# ─ one gradient per example ───────────────────────────────────────────────────────────────────────

V, GRADIENT = normal(64, 2, 5, 5), normal(64, 2, 5, 5, seed=1)
LOWERS = dot(V, GRADIENT) < 0


def test_two_sided_leaves_no_component_along_the_gradient() -> None:
    assert cosine(project_out(V, GRADIENT, "two_sided"), GRADIENT).abs().max() < 1e-10


def test_one_sided_removes_only_components_against_the_gradient() -> None:
    u = project_out(V, GRADIENT, "one_sided")
    assert LOWERS.any()
    assert not LOWERS.all()
    assert cosine(u, GRADIENT).min() > -1e-10
    assert torch.equal(u[~LOWERS], V[~LOWERS])
    assert torch.equal(u[LOWERS], project_out(V, GRADIENT, "two_sided")[LOWERS])


def test_the_printed_formula_only_lengthens() -> None:
    u = project_out(V, GRADIENT, "printed")
    torch.testing.assert_close(cosine(u, V), torch.ones(64, dtype=torch.float64))
    torch.testing.assert_close(
        dot(u, u).sqrt() / dot(V, V).sqrt(), 1 - cosine(V, GRADIENT).clamp(max=0)
    )


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_where_the_gradient_is_0_nothing_is_removed(projection: Projection) -> None:
    for v in (V, torch.zeros_like(V)):
        assert torch.equal(project_out(v, torch.zeros_like(V), projection), v)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_result_may_be_changed_in_place(projection: Projection) -> None:
    before = V.clone()
    project_out(V, GRADIENT, projection).zero_()
    assert torch.equal(V, before)


def at_bounds() -> tuple[Tensor, Tensor, Tensor]:
    """x, v and a gradient against v; half of the pixels are at a bound, and x + v is in bounds."""
    x, x_target = (
        torch.rand(64, 200, generator=torch.Generator().manual_seed(seed)).double()
        for seed in (0, 1)
    )
    x, x_target = (2 * x - 0.5).clamp(0, 1), (2 * x_target - 0.5).clamp(0, 1)
    v = x_target - x
    return x, v, normal(64, 200, seed=2) - 2 * v


def nearest_by_bisection(x: Tensor, v: Tensor, gradient: Tensor) -> Tensor:
    """The nearest displacement to v in the box that is not against the gradient.

    It is v + c gradient, without the components that leave the box, for the least c.
    """

    def clipped(c: Tensor) -> Tensor:
        u = v + c[:, None] * gradient
        return u.masked_fill(((x <= 0) & (u < 0)) | ((x >= 1) & (u > 0)), 0)

    low, high = (
        torch.zeros(len(x), dtype=torch.float64),
        torch.full((len(x),), 100.0, dtype=torch.float64),
    )
    for _ in range(100):
        middle = (low + high) / 2
        enough = dot(clipped(middle), gradient) >= 0
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return clipped(high)


@pytest.mark.parametrize("projection", ["one_sided", "two_sided"])
def test_with_free_pixels_it_is_the_nearest_displacement_that_keeps_box_and_confidence(
    projection: Projection,
) -> None:
    x, v, gradient = at_bounds()
    assert (dot(v, gradient) < 0).all()
    u = project_out_within(v, gradient, projection, x, (0.0, 1.0))
    torch.testing.assert_close(u, nearest_by_bisection(x, v, gradient), rtol=0, atol=1e-9)
    assert cosine(u, gradient).abs().max() < 1e-10


def test_clamping_instead_would_lower_the_confidence() -> None:
    x, v, gradient = at_bounds()
    clamped = (x + 0.01 * project_out(v, gradient, "one_sided")).clamp(0, 1) - x
    assert (cosine(clamped, gradient) < -1e-3).all()


def test_away_from_the_bounds_all_pixels_are_free() -> None:
    x = torch.full_like(V, 0.5)
    for projection in PROJECTIONS:
        u = project_out_within(V, GRADIENT, projection, x, (0.0, 1.0))
        torch.testing.assert_close(u, project_out(V, GRADIENT, projection))


# ─ many rows, one image ───────────────────────────────────────────────────────────────────────────

D, H, K = 60, 40, 5


def dependent() -> Tensor:
    """Rows (15, D) of rank 10."""
    return torch.cat([normal(10, D, seed=3), normal(5, 10, seed=4) @ normal(10, D, seed=3)])


def test_the_null_component_is_orthogonal_to_linearly_dependent_rows() -> None:
    matrix, v = dependent(), normal(D, seed=5)
    basis = row_space(matrix)
    v_p = null_component(v, basis)
    assert basis.shape == (10, D)
    assert (matrix @ v_p).abs().max() <= 1e-9 * v.norm()


def test_the_projection_is_idempotent_and_self_adjoint() -> None:
    basis, v, w = row_space(dependent()), normal(D, seed=5), normal(D, seed=6)
    once = null_component(v, basis)
    torch.testing.assert_close(null_component(once, basis), once, rtol=0, atol=1e-13)
    torch.testing.assert_close(once @ w, v @ null_component(w, basis), rtol=0, atol=1e-12)


def test_the_null_component_is_0_only_in_the_row_space() -> None:
    matrix = dependent()
    basis = row_space(matrix)
    inside = matrix.T @ normal(15, seed=7)
    assert null_component(inside, basis).norm() < 1e-12 * inside.norm()
    assert null_component(inside + normal(D, seed=8), basis).norm() > 1


def test_for_full_rank_it_is_the_papers_formula() -> None:
    matrix, v = normal(10, D, seed=3), normal(D, seed=5)
    by_formula = v - matrix.T @ torch.linalg.solve(matrix @ matrix.T, matrix @ v)
    torch.testing.assert_close(null_component(v, row_space(matrix)), by_formula, rtol=0, atol=1e-12)


def test_a_matrix_of_zeros_has_no_row_space() -> None:
    assert row_space(torch.zeros(3, D)).shape == (0, D)


def two_layers() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """w1 (H, D), w2 (K, H), pre-activations a (H,) and a displacement (D,)."""
    return (
        normal(H, D, seed=10),
        normal(K, H, seed=11),
        normal(H, seed=12),
        0.3 * normal(D, seed=13),
    )


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0, 10.0])
def test_the_null_space_has_the_dimension_of_the_paper(threshold: float) -> None:
    w1, w2, a, v = two_layers()
    _, held, basis = project_held(
        v, effective_map(w1, w2, a > 0), w1, lambda _: a.abs() < threshold
    )
    dimension, h_thresh = D - len(basis), int((a.abs() < threshold).sum())
    assert int(held.sum()) == h_thresh
    assert dimension >= D - K - h_thresh
    # units that the effective map consists of, besides those held
    free = int(((a > 0) & ~held).sum())
    assert dimension == D - h_thresh - min(K, free)


def test_the_active_set_prevents_all_flips_with_fewer_rows_than_any_threshold() -> None:
    w1, w2, a, v = two_layers()
    effective = effective_map(w1, w2, a > 0)
    v_p, held, _ = project_held(v, effective, w1, lambda step: flips(a, w1 @ step))
    assert flips(a, w1 @ null_component(v, row_space(effective))).any()
    assert not (flips(a, w1 @ v_p) & ~held).any()
    for threshold in torch.linspace(0, 4, 41).tolist():
        by_threshold, rows, _ = project_held(v, effective, w1, lambda _, t=threshold: a.abs() < t)
        if not (flips(a, w1 @ by_threshold) & ~rows).any():
            assert held.sum() <= rows.sum()
            assert (v - v_p).norm() <= (v - by_threshold).norm()


def test_no_relu_flips_below_alpha_max_and_one_does_above() -> None:
    a, change = normal(H, seed=12), normal(H, seed=14)
    limit = alpha_max(a, change)
    assert not flips(a, 0.999 * limit * change).any()
    assert flips(a, 1.001 * limit * change).sum() == 1


@pytest.mark.parametrize(
    ("a", "change", "limit"),
    [([1.0, -1.0], [1.0, -1.0], torch.inf), ([0.0], [1.0], 0.0), ([0.0], [-1.0], torch.inf)],
)
def test_alpha_max_where_nothing_flips_or_a_pre_activation_is_0(
    a: Any, change: Any, limit: float
) -> None:
    assert alpha_max(torch.tensor(a), torch.tensor(change)).item() == limit
