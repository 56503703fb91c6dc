"""Quarter-turns form a group, and an attack on a model that cannot see them turns with its image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.kinds import Norm
from invspec.ops.draws import PerExample
from invspec.ops.geometry import rotate

BUDGET: dict[Norm, float] = {"linf": 0.1, "l2": 0.5, "l1": 1.0}


def images(n: int) -> Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def by(degrees: float, x: Tensor) -> Tensor:
    return rotate(x, torch.full((len(x),), degrees))


def test_quarter_turns_compose() -> None:
    x = images(3)
    for first in (0.0, 90.0, 180.0, 270.0):
        for second in (-90.0, 90.0, 180.0):
            assert torch.equal(by(second, by(first, x)), by(first + second, x))


def test_four_quarter_turns_and_two_half_turns_are_the_identity() -> None:
    x = images(3)
    assert torch.equal(by(90, by(90, by(90, by(90, x)))), x)
    assert torch.equal(by(180, by(180, x)), x)


def test_a_turn_and_its_opposite_nearly_cancel_on_a_smooth_image() -> None:
    """Bilinear resampling of sin(r / 4), inside the circle that never leaves the image: error of order h^2 / 8."""
    axis = torch.arange(33.0) - 16
    radius = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt()
    x = torch.sin((axis[:, None] + 2 * axis[None, :]) / 12)[None, None]
    back = by(-37, by(37, x))
    assert (back - x)[0, 0][radius < 14].abs().max() < 2 * 2 * (5 / 144) / 8


class Unoriented(nn.Module):
    """The sum of a net's logits over the four quarter-turns of its input: invariant by construction."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 4)).double()

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.net(torch.rot90(x, quarters, (2, 3))) for quarters in range(4)]).sum(0)


@pytest.mark.parametrize("norm", BUDGET)
def test_pgd_commutes_with_quarter_turns_of_an_invariant_model(norm: Norm) -> None:
    """So the fooling rates on turned and unturned images are equal, for every eps."""
    x, y, model = images(6), torch.tensor([0, 1, 2, 3, 0, 1]), Unoriented()

    def attacked(x: Tensor) -> Tensor:
        batch = Batch(x, y, torch.arange(6))
        attack = PGD(eps=BUDGET[norm], norm=norm, steps=10, random_start=False)
        return attack.perturb(model, batch, PerExample("task", batch.index)).x_adv

    torch.testing.assert_close(attacked(by(90, x)), by(90, attacked(x)), rtol=0, atol=1e-9)
