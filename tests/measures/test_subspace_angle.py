import math

import pytest
import torch
from columns import filled
from shown import shown
from torch import nn

from invspec.data import Examples, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.subspace_angle import SubspaceAngle, largest, mean_squared

D = 24  # pixels of the toy images


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def spread(n=300, pixels=range(D), seed=0):
    """Perturbations (n, D) of some pixels, each less than the one before to separate components."""
    delta = torch.zeros(n, D)
    chosen = list(pixels)
    delta[:, chosen] = normal(n, len(chosen), seed=seed) * 0.8 ** torch.arange(len(chosen))
    return delta


def examples(delta):
    """An attack that moved grey images by delta (n, D)."""
    n = len(delta)
    x = torch.full((n, 1, 4, D // 4), 0.5)
    return Examples(
        TensorSplit(x, torch.zeros(n, dtype=torch.int64)),
        filled({}),
        {"x_adv": x + delta.view_as(x)},
    )


def scored(first, second, **fields):
    return SubspaceAngle(components=3, **fields).score(
        nn.Identity(), examples(first), examples(second)
    )


def rows(first, second, **fields):
    return {row.where["quantity"]: row for row in shown(scored(first, second, **fields))}


def values(first, second, **fields):
    return {name: row.value for name, row in rows(first, second, **fields).items()}


def test_identical_sets_have_the_same_subspace():
    result = scored(spread(), spread())
    found = {row.where["quantity"]: row.value for row in shown(result)}
    for name in ("mean_squared_cosine", "largest_cosine", "largest_principal_cosine"):
        assert found[name] == pytest.approx(1, abs=1e-6)
    assert found["smallest_angle"] == pytest.approx(0, abs=0.1)
    torch.testing.assert_close(result.tensors["values"], torch.eye(3), atol=1e-5, rtol=0)


def test_sets_on_disjoint_pixels_are_orthogonal():
    found = rows(spread(pixels=range(12)), spread(pixels=range(12, 24), seed=1))
    for name in (
        "mean_squared_cosine",
        "largest_cosine",
        "largest_principal_cosine",
        "null_mean",
        "null_95",
        "null_largest_mean",
        "null_largest_95",
        "random_level",
        "random_largest",
    ):
        assert found[name].value == pytest.approx(0, abs=1e-9)
    assert found["smallest_angle"].value == pytest.approx(90)
    assert found["mean_squared_cosine"].high == pytest.approx(0, abs=1e-9)


def test_an_orthogonal_map_of_both_sets_keeps_all_angles():
    first, second = spread(), spread(seed=1) @ torch.linalg.qr(normal(D, D, seed=2)).Q
    turn = torch.linalg.qr(normal(D, D, seed=3)).Q
    before, after = scored(first, second), scored(first @ turn, second @ turn)
    for row, same in zip(shown(before), shown(after), strict=True):
        assert same.value == pytest.approx(row.value, abs=1e-3)  # images are float32
    for name in ("principal_cosines", "values"):
        torch.testing.assert_close(before.tensors[name], after.tensors[name], atol=1e-4, rtol=0)


def test_planes_at_a_known_angle():
    """Two axes each: one in common, the others 30 degrees apart."""
    axes, angle = torch.eye(D), math.radians(30)
    tilted = math.cos(angle) * axes[1] + math.sin(angle) * axes[2]
    strengths = normal(500, 2) * torch.tensor([2.0, 1.0])
    first, second = strengths @ axes[:2], strengths @ torch.stack([axes[0], tilted])
    result = SubspaceAngle(components=2).score(nn.Identity(), examples(first), examples(second))
    found = {row.where["quantity"]: row.value for row in shown(result)}
    assert result.tensors["principal_cosines"].tolist() == pytest.approx(
        [1, math.cos(angle)], abs=2e-3
    )
    assert found["mean_squared_cosine"] == pytest.approx((1 + 0.75) / 2, abs=2e-3)
    assert found["explained_variance_1"] == pytest.approx(1, abs=1e-5)
    assert found["random_level"] == pytest.approx(2 / 3)  # three pixels are not constant


def test_explained_variance_is_the_share_of_the_leading_components():
    delta = normal(20_000, 4) * torch.tensor([3.0, 2.0, 1.0, 1.0])
    moved = torch.cat([delta, torch.zeros(20_000, D - 4)], dim=1)
    result = scored(moved, spread())
    assert result.tensors["explained_variance_1"].tolist() == pytest.approx(
        [9 / 15, 13 / 15, 14 / 15], abs=0.01
    )
    assert result.tensors["explained_variance_1"].tolist() == sorted(
        result.tensors["explained_variance_1"].tolist()
    )


def test_a_mean_shift_counts_only_without_centring():
    shift = torch.zeros(D)
    shift[20] = 5
    assert values(spread(pixels=range(8)) + shift, spread(pixels=range(8)), centre=True)[
        "mean_squared_cosine"
    ] == pytest.approx(1, abs=1e-5)
    assert values(spread(pixels=range(8)) + shift, spread(pixels=range(8)), centre=False)[
        "mean_squared_cosine"
    ] == pytest.approx(2 / 3, abs=0.02)


def test_the_null_of_isotropic_sets_is_the_random_level():
    found = rows(normal(4000, D), normal(4000, D, seed=1), draws=1000)
    assert found["random_level"].value == pytest.approx(3 / D)
    assert abs(found["null_mean"].value - 3 / D) < 3 * (
        found["null_mean"].high - found["null_mean"].value
    )
    assert found["null_95"].value > found["null_mean"].value


def test_the_null_of_sets_that_share_a_strong_direction_is_far_above_it():
    found = values(spread(), spread(seed=1))
    assert found["null_mean"] > 3 * found["random_level"]


def test_the_random_level_is_that_of_subspaces_of_the_pixels_that_each_attack_moves():
    found = values(spread(pixels=range(6)), spread(pixels=range(4, 10), seed=1))
    # of E tr(P_U P_V) / k: P_U is on average k / 6 on its six pixels, and two are shared
    assert found["random_level"] == pytest.approx(3 * 2 / (6 * 6))
    within = values(spread(pixels=range(12)), spread(pixels=range(6), seed=1))
    assert within["random_level"] == pytest.approx(3 * 6 / (12 * 6))


def test_the_mean_squared_cosine_of_random_subspaces_is_the_random_level():
    measure, moving = SubspaceAngle(draws=4000), torch.zeros(2, D, dtype=torch.bool)
    moving[0, :12], moving[1, 6:24] = True, True
    squared = mean_squared(measure._random(moving, 3))
    error = 4 * squared.std().item() / math.sqrt(len(squared))
    assert squared.mean().item() == pytest.approx(3 * 6 / (12 * 18), abs=error)


def test_the_largest_cosine_of_random_lines_in_a_plane_has_a_closed_form():
    """|cos| of a uniform angle has the mean 2 / pi."""
    planar = torch.zeros(2, D, dtype=torch.bool)
    planar[:, :2] = True
    cosines = largest(SubspaceAngle(draws=4000)._random(planar, 1))
    assert cosines.mean().item() == pytest.approx(2 / math.pi, abs=0.02)  # four standard errors


def test_isotropic_sets_are_as_aligned_as_random_subspaces():
    found = values(normal(4000, D), normal(4000, D, seed=1), draws=1000)
    for name in ("random_largest", "null_largest_mean"):
        assert found["largest_cosine"] == pytest.approx(found[name], abs=0.25)
    assert found["null_largest_mean"] == pytest.approx(found["random_largest"], abs=0.02)
    assert found["null_largest_95"] > found["null_largest_mean"]


def test_few_examples_give_fewer_components():
    result = scored(spread(n=4), spread(n=4, seed=1))
    assert result.tensors["values"].shape == (2, 2)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    turn = torch.linalg.qr(normal(D, D, seed=9)).Q
    deviations = torch.tensor([4.0, 3.0, 2.0, *[0.5] * (D - 3)])
    truth = turn[:3, :3].square().sum().item() / 3
    covered = 0
    for seed in range(40):
        first = normal(200, D, seed=2 * seed + 10) * deviations
        second = (normal(200, D, seed=2 * seed + 11) * deviations) @ turn
        row = rows(first, second, draws=20)["mean_squared_cosine"]
        covered += row.low <= truth <= row.high
    assert (
        covered >= 34
    )  # 38 are expected; estimated subspaces lean towards the middle, which costs some


def test_an_attack_that_moved_nothing_has_no_components():
    with pytest.raises(InvspecError, match="expected perturbations that differ"):
        scored(spread(), torch.zeros(300, D))


def test_three_perturbations_are_too_few():
    with pytest.raises(InvspecError, match="at least 4 perturbations, found 3"):
        scored(spread(n=3), spread(n=3))
