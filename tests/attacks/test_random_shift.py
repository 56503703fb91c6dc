"""Random shifts of each image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from invspec.attacks.random_shift import RandomShift
from invspec.data import Batch
from invspec.ops.draws import PerExample


def shifted(attack: RandomShift, x: Tensor, task: str = "task", first: int = 0) -> Tensor:
    index = torch.arange(first, first + len(x))
    batch = Batch(x, torch.zeros(len(x), dtype=torch.int64), index)
    return attack.perturb(nn.Identity(), batch, PerExample(task, index)).x_adv


def dots(n: int) -> Tensor:
    """Images with one bright pixel in the middle."""
    x = torch.zeros(n, 1, 9, 9)
    x[:, :, 4, 4] = 1
    return x


def test_shifts_take_every_value_up_to_the_largest_and_no_other() -> None:
    places = shifted(RandomShift(max_shift=2), dots(600)).flatten(1).argmax(1)
    expected = {9 * row + column for row in range(2, 7) for column in range(2, 7)}
    assert set(places.tolist()) == expected


def test_every_task_and_every_batch_shifts_an_image_alike() -> None:
    attack, x = RandomShift(), torch.rand(6, 1, 9, 9)
    assert torch.equal(shifted(attack, x), shifted(attack, x, "another model"))
    assert torch.equal(shifted(attack, x)[4:], shifted(attack, x[4:], first=4))


def test_another_draw_shifts_otherwise() -> None:
    x = dots(20)
    assert not torch.equal(shifted(RandomShift(), x), shifted(RandomShift(draw=1), x))


def test_a_largest_shift_of_0_is_the_identity() -> None:
    x = torch.rand(6, 1, 9, 9)
    assert torch.equal(shifted(RandomShift(max_shift=0), x), x)
