from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from invspec.ops.norms import per_example, project, size, steepest
from invspec.ops.types import Norm

NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
numbers = st.floats(-100, 100, width=32, allow_subnormal=False)
deltas = st.integers(1, 12).flatmap(
    lambda d: st.lists(st.lists(numbers, min_size=d, max_size=d), min_size=1, max_size=4).map(
        torch.tensor
    )
)
radii = st.floats(0, 50, width=32)
norms = st.sampled_from(NORMS)
quick = settings(max_examples=60, deadline=None, database=None)


def exceeds(delta: Tensor, eps: float | Tensor, norm: Norm) -> Tensor:
    """How far delta exceeds eps, beyond the rounding of float32 numbers of that size."""
    tolerance = 1e-6 * max(1.0, float(torch.as_tensor(eps).max()))
    return size(delta.double(), norm) - eps > tolerance


@quick
@given(deltas, radii, norms)
def test_a_projection_ends_in_the_ball(delta: Tensor, eps: float, norm: Norm) -> None:
    assert not exceeds(project(delta, eps, norm), eps, norm).any()


@quick
@given(deltas, radii, norms)
def test_projecting_twice_is_projecting_once(delta: Tensor, eps: float, norm: Norm) -> None:
    once = project(delta, eps, norm)
    torch.testing.assert_close(project(once, eps, norm), once, rtol=1e-5, atol=1e-5)


@quick
@given(deltas, radii, norms)
def test_a_projection_never_lengthens_any_coordinate(delta: Tensor, eps: float, norm: Norm) -> None:
    projected = project(delta, eps, norm)
    assert (projected.abs() <= delta.abs()).all()
    assert (projected * delta >= 0).all()


@quick
@given(deltas, norms)
def test_points_inside_the_ball_do_not_move(delta: Tensor, norm: Norm) -> None:
    assert torch.equal(project(delta, float(size(delta, norm).max()) * 1.0001 + 1e-3, norm), delta)


@quick
@given(deltas, st.floats(0.125, 50))
def test_the_l1_projection_is_nearer_than_any_other_point_of_the_ball(
    delta: Tensor, eps: float
) -> None:
    """Optimality of the projection p: (delta - p) . (q - p) <= 0 at all vertices q of the ball."""
    delta, p = delta.double(), project(delta.double(), eps, "l1")
    leftover = delta - p
    highest_vertex = eps * size(leftover, "linf")
    torch.testing.assert_close((leftover * p).sum(1), highest_vertex, rtol=1e-9, atol=1e-9)


@quick
@given(deltas, st.floats(0.125, 50))
def test_the_l1_projection_equals_that_of_sorting_and_trying_every_rank(
    delta: Tensor, eps: float
) -> None:
    for row, projected in zip(delta.double(), project(delta.double(), eps, "l1"), strict=True):
        largest = row.abs().sort(descending=True).values
        shrunk = [
            largest[:rank] - (largest[:rank].sum() - eps) / rank for rank in range(1, len(row) + 1)
        ]
        # the last rank at which no entry becomes negative
        entries = [entries for entries in shrunk if (entries > 0).all()][-1]
        expected = torch.cat([entries, entries.new_zeros(len(row) - len(entries))])
        if row.abs().sum() <= eps:
            expected = largest
        torch.testing.assert_close(
            projected.abs().sort(descending=True).values, expected, rtol=1e-9, atol=1e-9
        )


def test_the_l1_projection_of_an_outside_point_has_length_eps() -> None:
    delta = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(size(project(delta, 12.0, "l1"), "l1"), torch.full((16,), 12.0))


@pytest.mark.parametrize("norm", NORMS)
def test_the_radius_may_differ_between_examples(norm: Norm) -> None:
    delta = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    eps = torch.tensor([0.0, 0.5, 100.0])
    together = project(delta, eps, norm)
    alone = [project(delta[i : i + 1], float(eps[i]), norm) for i in range(3)]
    assert torch.equal(together, torch.cat(alone))
    assert not together[0].any()
    assert torch.equal(together[2], delta[2])


@quick
@given(deltas, norms)
def test_a_steepest_step_has_length_1_and_climbs_by_the_dual_norm(
    gradient: Tensor, norm: Norm
) -> None:
    gradient = gradient.double()
    step, dual = (
        steepest(gradient, norm),
        size(gradient, {"linf": "l1", "l2": "l2", "l1": "linf"}[norm]),
    )
    torch.testing.assert_close((step * gradient).sum(1), dual)
    torch.testing.assert_close(size(step, norm), (size(gradient, "linf") > 0).double())


@pytest.mark.parametrize("norm", NORMS)
def test_a_step_has_length_1_however_small_the_gradient(norm: Norm) -> None:
    gradient = torch.tensor([[3e-30, -4e-30]])
    torch.testing.assert_close(steepest(gradient, norm), steepest(gradient * 1e30, norm))


def test_a_sparse_step_moves_the_largest_entries_equally() -> None:
    step = steepest(torch.tensor([[[[0.1, -3.0], [2.0, 0.2]]]]), "l1", sparsity=2)
    assert torch.equal(step, torch.tensor([[[[0.0, -0.5], [0.5, 0.0]]]]))
    assert torch.equal(
        steepest(torch.tensor([[1.0, -1.0]]), "l1", sparsity=9), torch.tensor([[0.5, -0.5]])
    )


def test_the_sparsity_may_differ_between_examples() -> None:
    gradient = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    counts = [1, 5, 40]
    together = steepest(gradient, "l1", torch.tensor(counts))
    alone = [
        steepest(row.unsqueeze(0), "l1", count) for row, count in zip(gradient, counts, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-7)


def test_per_example_values_broadcast_against_images() -> None:
    assert per_example(torch.arange(3), torch.zeros(3, 1, 2, 2)).shape == (3, 1, 1, 1)


@quick
@given(deltas, st.integers(0, 15))
def test_the_l0_projection_keeps_the_largest_entries_unchanged(delta: Tensor, count: int) -> None:
    projected = project(delta, count + 0.5, "l0")
    assert (size(projected, "l0") <= count).all()
    assert ((projected == delta) | (projected == 0)).all()
    lost = (delta - projected).abs().amax(1)
    smallest_kept = projected.abs().where(projected != 0, torch.inf).amin(1)
    assert ((lost <= smallest_kept) & ((lost == 0) | (size(projected, "l0") == count))).all()


def test_the_l0_projection_keeps_the_first_of_equal_entries_in_each_example() -> None:
    delta = torch.tensor([[1.0, -1.0, 1.0], [0.5, 2.0, -3.0]])
    assert project(delta, torch.tensor([2.0, 1.0]), "l0").tolist() == [[1, -1, 0], [0, 0, -3]]
    assert size(delta, "l0").tolist() == [3, 3]
