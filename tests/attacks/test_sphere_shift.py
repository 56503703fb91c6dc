import math

import torch
from torch import nn

from invspec.attacks.sphere_shift import SphereShift
from invspec.data import Batch
from invspec.ops.draws import PerExample


def perturbed(x, y, **fields):
    points = torch.tensor(x)[:, None, None]
    batch = Batch(points, torch.tensor(y), torch.arange(len(x)), bounds=(-math.inf, math.inf))
    result = SphereShift(**fields).perturb(nn.Identity(), batch, PerExample("task", batch.index))
    assert result.forwards.sum() == result.backwards.sum() == 0
    return result.x_adv.flatten(1)


def test_only_the_last_coordinate_of_the_inner_points_moves_and_keeps_its_sign():
    x = [[3.0, 4.0, 1.0], [3.0, 4.0, -1.0], [3.0, 4.0, 1.0], [0.0, 0.0, -0.5]]
    assert perturbed(x, [0, 0, 1, 0], outer=13.0).tolist() == [
        [3, 4, 12],
        [3, 4, -12],
        [3, 4, 1],
        [0, 0, -13],
    ]


def test_the_last_coordinate_is_0_if_the_others_are_too_long():
    assert perturbed([[3.0, 4.0, 1.0]], [0], outer=4.0).tolist() == [[3, 4, 0]]


def test_images_are_points_and_may_leave_their_bounds():
    batch = Batch(torch.full((1, 2, 2, 2), 0.5), torch.tensor([0]), torch.arange(1))
    x_adv = (
        SphereShift(outer=3.0).perturb(nn.Identity(), batch, PerExample("task", batch.index)).x_adv
    )
    assert (x_adv != batch.x).flatten().tolist() == [False] * 7 + [True]
    torch.testing.assert_close(x_adv.norm(), torch.tensor(3.0))
    assert SphereShift.leaves_bounds
