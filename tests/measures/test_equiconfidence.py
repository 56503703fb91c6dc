"""Spheres on which confidence is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from columns import filled
from pair_examples import Sigmoid, of_pairs
from shown import shown
from torch import Tensor, nn

from invspec.data import Examples
from invspec.errors import InvspecError
from invspec.measures.equiconfidence import (
    Equiconfidence,
    RealisedNorm,
    gradients,
    headings,
    tangents,
)
from invspec.ops.draws import PerExample

W = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0, 1.5, -0.5, 1.0, 2.0])
MODEL = Sigmoid(W)
STEPS, SHAPE = 5, (1, 3, 3)


def attacked() -> Examples:
    """Three sources of class 0 with a pair each and 5 steps; the third is misclassified."""
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(4, *SHAPE, generator=rng)
    images[:2] = (images[:2].flatten(1) + 0.3 * W.sign()).clamp(0, 1).view(-1, *SHAPE)
    images[2] = (-W).sign().clamp_min(0).view(SHAPE)
    ends = [(0, 3), (1, 3), (2, 3)]
    path = torch.stack(
        [images[:3].lerp(images[3].expand(3, *SHAPE), k / 8) for k in range(STEPS + 1)], dim=1
    )
    return of_pairs(MODEL, images, torch.tensor([0, 0, 0, 1]), ends, path[:, -1], path)


FEW: dict[str, Any] = {"every": 2, "radii": (0, 5, 30), "draws": 64}


def measure(**fields: Any) -> Equiconfidence:
    return Equiconfidence(**{**FEW, **fields})


def confidences(of: Equiconfidence, pairs: Examples) -> Tensor:
    """Confidences (V, R, Q) of the rows, in the order of vertices, radii and quantiles."""
    values = torch.tensor([row.value for row in shown(of.score(MODEL, pairs))])
    return values.view(-1, len(of.radii), len(of.quantiles))


def lengths(pairs: Examples, **fields: Any) -> Tensor:
    """Lengths (V, R) of the rows, which are in the order of vertices and radii."""
    of = RealisedNorm(**{**FEW, **fields})
    return torch.tensor([row.value for row in shown(of.score(MODEL, pairs))]).view(-1, 3)


def test_for_linear_logits_a_tangent_sphere_has_its_vertex_confidence() -> None:
    pairs = attacked()
    f = MODEL(pairs.tensors["path"][:2, ::2].flatten(0, 1)).softmax(1)[:, 0].view(2, 3).mean(0)
    expected = f[:, None, None].expand(3, 3, 2)
    found = confidences(measure(clamp=False), pairs)
    # 30 * ||w|| * 1e-7, over 4
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-6)
    unclamped = lengths(pairs, clamp=False)
    torch.testing.assert_close(unclamped, torch.tensor([[0.0, 5.0, 30.0]] * 3))


def test_rows_say_vertex_radius_and_quantile() -> None:
    score = measure().score(MODEL, attacked())
    places = [
        (row.where["vertex"], row.where["radius"], row.where["quantile"]) for row in shown(score)
    ]
    assert places == [(v, r, q) for v in (0, 2, 4) for r in (0, 5, 30) for q in (0.05, 0.95)]
    assert all(row.n == 2 and row.low <= row.value <= row.high for row in shown(score))


def test_radius_0_is_the_vertex_itself() -> None:
    at_zero = confidences(measure(orthogonal_to="path"), attacked())[:, 0]
    assert torch.equal(at_zero[:, 0], at_zero[:, 1])


def test_across_the_path_confidence_spreads_with_the_radius() -> None:
    confidence = confidences(
        measure(orthogonal_to="path", radii=(0, 0.1, 1, 5), clamp=False), attacked()
    )
    spread = confidence[..., 1] - confidence[..., 0]
    assert (spread.diff(dim=1) > 0).all()


def test_clamping_shortens_what_is_added() -> None:
    norm = lengths(attacked())
    assert (norm[:, 0] == 0).all()
    assert (norm[:, 1:] <= 3).all()  # the diagonal of the box
    rows = shown(RealisedNorm(**FEW).score(MODEL, attacked()))
    assert [(row.where["vertex"], row.where["radius"]) for row in rows[:2]] == [(0, 0), (0, 5)]


def test_draws_of_a_pair_do_not_depend_on_other_pairs() -> None:
    pairs, rows = attacked(), torch.tensor([1])
    alone = Examples(
        pairs.clean.take(rows),
        filled({name: column[rows] for name, column in vars(pairs.judged).items()}),
        {name: tensor[rows] for name, tensor in pairs.tensors.items()},
    )
    both = [confidences(measure(eligible="all"), some) for some in (pairs, _only(pairs, [0, 2]))]
    mine = confidences(measure(), alone)
    torch.testing.assert_close(3 * both[0] - 2 * both[1], mine, rtol=0, atol=1e-6)


def _only(pairs: Examples, positions: list[int]) -> Examples:
    rows = torch.tensor(positions)
    return Examples(
        pairs.clean.take(rows),
        filled({name: column[rows] for name, column in vars(pairs.judged).items()}),
        {name: tensor[rows] for name, tensor in pairs.tensors.items()},
    )


def test_tangents_are_unit_vectors_across_a_direction() -> None:
    direction = (W / W.norm()).view(SHAPE)
    rng = PerExample("test", torch.tensor([3]))
    z = tangents(rng, 50, direction)
    assert z.shape == (50, *SHAPE)
    torch.testing.assert_close(z.flatten(1).norm(dim=1), torch.ones(50))
    assert (z * direction).sum((1, 2, 3)).abs().max() < 1e-6
    free = tangents(rng, 2000, torch.zeros(SHAPE))
    torch.testing.assert_close(
        free.flatten(1).T.cov(), torch.eye(9) / 9, rtol=0, atol=0.015
    )  # 4 standard errors


def test_gradients_point_along_the_weights_and_vanish_where_nothing_changes() -> None:
    found = gradients(MODEL, torch.zeros(2, *SHAPE), torch.tensor([0])).flatten(1)
    torch.testing.assert_close(found.abs(), (W / W.norm()).abs().expand(2, -1))
    nothing = gradients(nn.Sequential(MODEL, Zero()), torch.zeros(2, *SHAPE), torch.tensor([0]))
    assert torch.equal(nothing, torch.zeros(2, *SHAPE))


class Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0 * x


def test_headings_skip_rests_and_end_with_the_last_segment() -> None:
    at = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 3.0], [1.0, 3.0]]).view(5, 1, 1, 2)
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]).view(
        5, 1, 1, 2
    )
    torch.testing.assert_close(headings(at), expected)
    assert torch.equal(headings(at[:1].expand(4, -1, -1, -1)), torch.zeros(4, 1, 1, 2))


def test_a_path_and_an_eligible_pair_are_needed() -> None:
    pairs = attacked()
    with pytest.raises(InvspecError, match="kept no path"):
        measure().score(MODEL, Examples(pairs.clean, pairs.judged, {"x_adv": pairs.x_adv}))
    with pytest.raises(InvspecError, match="none of 1 pairs is eligible"):
        measure().score(MODEL, _only(pairs, [2]))
    assert len(shown(measure().smoke().score(MODEL, _only(pairs, [2])))) == 3 * 3 * 2
