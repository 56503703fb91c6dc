"""Gradient ascent on the angle and the shifts of an image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.first_order_spatial import FirstOrderSpatial
from invspec.data import Batch, Perturbed
from invspec.ops.draws import PerExample
from invspec.ops.geometry import transform


class Ramp(nn.Module):
    """Class 1 the likelier, the more light there is on the right of the image."""

    def forward(self, x: Tensor) -> Tensor:
        columns = torch.linspace(-1, 1, x.shape[-1], dtype=x.dtype)
        right = (x * columns).flatten(1).sum(1)
        return torch.stack([-right, right], dim=1)


def batch(label: int, n: int = 6) -> Batch:
    """Images with a bright square in the middle."""
    x = torch.zeros(n, 1, 16, 16)
    x[..., 6:10, 6:10] = 1
    return Batch(x, torch.full((n,), label), torch.arange(n))


def perturbed(attack: FirstOrderSpatial, given: Batch) -> Perturbed:
    return attack.perturb(Ramp(), given, PerExample("task", given.index))


@pytest.mark.parametrize(("label", "sign"), [(0, 1), (1, -1)])
def test_it_climbs_to_the_largest_shift_where_the_loss_is_a_ramp(label: int, sign: int) -> None:
    given = batch(label)
    x_adv = perturbed(FirstOrderSpatial(max_degrees=0, steps=250), given).x_adv
    mass = (x_adv.sum((1, 2)) * torch.arange(16.0)).sum(1) / x_adv.sum((1, 2, 3))
    # the centre of mass moves from 7.5 by the largest shift, to the sides where the loss is larger
    assert torch.allclose(mass, torch.full((6,), 7.5 + 3 * sign), atol=0.05)


def test_one_step_judges_the_start_alone() -> None:
    given = batch(0)
    attack = FirstOrderSpatial(steps=1, draw=2)
    u = PerExample("first_order_spatial/2", given.index).uniform((6, 3))
    degrees, dx, dy = ((2 * u - 1) * torch.tensor([30.0, 3.0, 3.0])).unbind(1)
    assert torch.equal(perturbed(attack, given).x_adv, transform(given.x, degrees, dx, dy))


def test_more_steps_are_never_weaker() -> None:
    given = batch(0)
    light = [Ramp()(perturbed(FirstOrderSpatial(steps=n), given).x_adv)[:, 1] for n in (1, 5, 40)]
    assert (light[1] >= light[0]).all()
    assert (light[2] >= light[1]).all()


def test_without_limits_nothing_moves() -> None:
    given = batch(0)
    x_adv = perturbed(FirstOrderSpatial(max_degrees=0, max_shift=0, steps=3), given).x_adv
    assert torch.equal(x_adv, given.x)


def test_every_step_is_a_pass_forwards_and_backwards() -> None:
    result = perturbed(FirstOrderSpatial(steps=7), batch(0))
    assert set(result.forwards.tolist()) == set(result.backwards.tolist()) == {7}
