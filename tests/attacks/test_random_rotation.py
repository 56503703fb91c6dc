from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.attacks.random_rotation import RandomRotation
from invspec.data import Batch
from invspec.ops.draws import PerExample
from invspec.ops.geometry import rotate


def batch_of(n: int) -> Batch:
    x = torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.zeros(n, dtype=torch.int64), torch.arange(n))


def rotated(attack: RandomRotation, batch: Batch, task: str = "task") -> Tensor:
    return attack.perturb(nn.Identity(), batch, PerExample(task, batch.index)).x_adv


def test_no_rotation_is_the_identity_bit_for_bit() -> None:
    batch = batch_of(8)
    assert torch.equal(rotated(RandomRotation(max_degrees=0), batch), batch.x)


def test_the_angle_is_max_degrees_times_a_draw_of_the_image() -> None:
    batch = batch_of(8)
    u = 2 * PerExample("random_rotation/3", batch.index).uniform((8,)) - 1
    for max_degrees in (30.0, 180.0):
        expected = rotate(batch.x, max_degrees * u, "nearest")
        assert torch.equal(
            rotated(
                RandomRotation(max_degrees=max_degrees, draw=3, interpolation="nearest"), batch
            ),
            expected,
        )


def test_every_task_rotates_an_image_alike() -> None:
    batch, attack = batch_of(8), RandomRotation(max_degrees=60)
    assert torch.equal(rotated(attack, batch, "one model"), rotated(attack, batch, "another model"))


def test_another_draw_rotates_differently() -> None:
    batch = batch_of(8)
    assert not torch.equal(
        rotated(RandomRotation(draw=0), batch), rotated(RandomRotation(draw=1), batch)
    )


def test_angles_spread_evenly_over_the_circle() -> None:
    """Of a bright pixel 10 right of the centre: the mean of 400 such points is 0 +- 5 * 0.35."""
    x = torch.zeros(400, 1, 29, 29)
    x[:, :, 14, 24] = 1
    batch = Batch(x, torch.zeros(400, dtype=torch.int64), torch.arange(400))
    brightest = rotated(RandomRotation(), batch).flatten(1).argmax(1)
    right, up = brightest % 29 - 14.0, 14.0 - brightest // 29
    assert abs(right.mean()) < 1.8
    assert abs(up.mean()) < 1.8


def test_corners_are_black_unless_fill_is_reflect() -> None:
    white = replace(batch_of(8), x=torch.ones(8, 1, 28, 28))
    assert (rotated(RandomRotation(), white).amin((1, 2, 3)) == 0).all()
    torch.testing.assert_close(
        rotated(RandomRotation(fill="reflect"), white), white.x, rtol=0, atol=1e-6
    )


def test_angles_beyond_180_degrees_are_refused() -> None:
    with pytest.raises(ValidationError, match="max_degrees"):
        RandomRotation(max_degrees=181)
