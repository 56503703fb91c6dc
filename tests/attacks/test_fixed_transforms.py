"""Transforms that are the same for every image."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.fixed_transforms import (
    FixedPermutation,
    FixedRotation,
    FixedShift,
    FixedTransform,
)
from invspec.data import Batch
from invspec.ops.draws import PerExample
from invspec.ops.norms import size


def images(n: int = 5, side: int = 7) -> Tensor:
    return torch.rand(n, 2, side, side, generator=torch.Generator().manual_seed(0))


def moved(transform: FixedTransform, x: Tensor) -> Tensor:
    batch = Batch(x, torch.zeros(len(x), dtype=torch.int64), torch.arange(len(x)))
    return transform.perturb(nn.Identity(), batch, PerExample("task", batch.index)).x_adv


@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3, 4])
def test_quarter_turns_only_move_pixels(turns: int) -> None:
    x = images()
    assert torch.equal(moved(FixedRotation(degrees=90 * turns), x), x.rot90(turns, (2, 3)))


def test_other_angles_turn_all_images_alike() -> None:
    x = images(1).repeat(3, 1, 1, 1)
    first, *others = moved(FixedRotation(degrees=30), x)
    assert all(torch.equal(first, other) for other in others)
    assert not torch.equal(first, x[0])


def test_a_shift_moves_right_and_down() -> None:
    x = images()
    shifted = moved(FixedShift(right=2, down=-1), x)
    assert torch.equal(shifted[..., :-1, 2:], x[..., 1:, :-2])
    assert shifted[..., :2].abs().sum() == shifted[..., -1, :].abs().sum() == 0


def test_a_shift_that_wraps_is_a_roll() -> None:
    x = images()
    shifted = moved(FixedShift(right=2, down=-9, fill="wrap"), x)
    assert torch.equal(shifted, x.roll((-9, 2), (2, 3)))


@pytest.mark.parametrize(
    "transform",
    [
        FixedRotation(degrees=270),
        FixedShift(right=3, down=5, fill="wrap"),
        FixedPermutation(),
        FixedPermutation(pixels=6, seed=2),
    ],
    ids=str,
)
def test_a_permutation_of_pixels_keeps_the_length_of_a_perturbation(
    transform: FixedTransform,
) -> None:
    x, x_adv = images(), images().flip(0)
    for norm in ("linf", "l2", "l1"):
        before, after = (
            size(x_adv - x, norm),
            size(moved(transform, x_adv) - moved(transform, x), norm),
        )
        assert torch.allclose(before, after, rtol=1e-6)  # sums in another order
    assert torch.equal(moved(transform, x).flatten(2).sort().values, x.flatten(2).sort().values)


def test_a_permutation_is_that_of_its_seed_and_moves_channels_together() -> None:
    x = images()
    x[:, 1] = x[:, 0] / 2
    permuted = moved(FixedPermutation(seed=1), x)
    assert torch.equal(permuted, moved(FixedPermutation(seed=1), x))
    assert not torch.equal(permuted, moved(FixedPermutation(seed=2), x))
    assert torch.equal(permuted[:, 1], permuted[:, 0] / 2)


def test_a_permutation_of_a_few_pixels_leaves_the_others() -> None:
    x = images()
    changed = (moved(FixedPermutation(pixels=6), x) != x).any(1).flatten(1).sum(1)
    assert 0 < changed.max() <= 6


def test_a_permutation_of_one_pixel_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        FixedPermutation(pixels=1)
