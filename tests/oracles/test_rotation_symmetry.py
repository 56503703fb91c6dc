"""Quarter-turns form a group, and an attack on a model that cannot see them turns with its
image.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.kinds import Model
from invspec.models.gcnn import GCNN
from invspec.models.gcnn_vgg16 import GCNNVGG16
from invspec.models.p4cnn import P4CNN
from invspec.ops.draws import PerExample
from invspec.ops.geometry import rotate
from invspec.ops.types import Norm, Shape

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
    """Bilinear resampling of sin(r / 4), inside the circle that never leaves the image: error of
    order h^2 / 8.
    """
    axis = torch.arange(33.0) - 16
    radius = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt()
    x = torch.sin((axis[:, None] + 2 * axis[None, :]) / 12)[None, None]
    back = by(-37, by(37, x))
    assert (back - x)[0, 0][radius < 14].abs().max() < 2 * 2 * (5 / 144) / 8


class Unoriented(nn.Module):
    """The sum of a net's logits over the four quarter-turns of its input: invariant by
    construction.
    """

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = nn.Sequential(
                nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 4)
            ).double()

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(
            [self.net(torch.rot90(x, quarters, (2, 3))) for quarters in range(4)]
        ).sum(0)


@pytest.mark.parametrize("norm", BUDGET)
def test_pgd_commutes_with_quarter_turns_of_an_invariant_model(norm: Norm) -> None:
    """So the fooling rates on turned and unturned images are equal, for every eps."""
    x, y, model = images(6), torch.tensor([0, 1, 2, 3, 0, 1]), Unoriented()

    def attacked(x: Tensor) -> Tensor:
        batch = Batch(x, y, torch.arange(6))
        attack = PGD(eps=BUDGET[norm], norm=norm, steps=10, random_start=False)
        return attack.perturb(model, batch, PerExample("task", batch.index)).x_adv

    torch.testing.assert_close(attacked(by(90, x)), by(90, attacked(x)), rtol=0, atol=1e-9)


# --- the lemma on nets that are invariant by their convolutions -----------------------------------

NETS: dict[str, tuple[Model, Shape]] = {
    "gcnn": (GCNN(head="invariant", widths=(4, 6), hidden=16), (1, 20, 20)),
    "p4cnn": (P4CNN(channels=4), (1, 28, 28)),
    "gcnn_vgg16": (GCNNVGG16(head="invariant", widths=(4, 4, 8, 8, 16)), (3, 32, 32)),
}
GRIDS: dict[Norm, tuple[float, ...]] = {
    "linf": (0.0005, 0.002, 0.01, 0.1),
    "l2": (0.02, 0.1, 0.5, 2.0),
    "l1": (0.1, 0.5, 2.0, 8.0),
}
CASES = [
    ("gcnn", "linf"),
    ("gcnn", "l2"),
    ("gcnn", "l1"),
    ("p4cnn", "linf"),
    ("gcnn_vgg16", "linf"),
]


def double(shape: Shape, n: int = 6) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@cache
def deployed(name: str) -> nn.Module:
    """The net as attacks see it, in float64, with statistics of some batches and logits that differ
    among images.
    """
    model, shape = NETS[name]
    default = torch.get_default_dtype()
    torch.set_default_dtype(
        torch.float64
    )  # also for the kernels: a float32 basis commutes only to its own rounding
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = model.build(shape, 4).train()
            for _ in range(3):
                net(torch.rand(8, *shape))
    finally:
        torch.set_default_dtype(default)
    return Centred(model.deploy(net), double(shape))


class Centred(nn.Module):
    """A net whose logits have mean 0 over some images, so that it gives them more than one
    label.
    """

    def __init__(self, net: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.net, self.mean = net, net(x).mean(0)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) - self.mean


@pytest.mark.parametrize(("name", "norm"), CASES)
@pytest.mark.parametrize("quarters", [1, 2])
def test_the_fooling_rate_of_an_invariant_net_is_the_same_on_turned_images(
    name: str, norm: Norm, quarters: int
) -> None:
    """Exactly, for every eps, because the perturbations are the same up to the turn."""
    net, x = deployed(name), double(NETS[name][1])
    lying = x.rot90(quarters, (2, 3))
    y = net(x).argmax(1)
    assert net(lying).argmax(1).equal(y)
    assert len(y.unique()) > 1
    rates = []
    for eps in GRIDS[norm]:
        attack = PGD(eps=eps, norm=norm, steps=4, random_start=False)
        upright, turned = (attacked_by(attack, net, images, y) for images in (x, lying))
        torch.testing.assert_close(turned, upright.rot90(quarters, (2, 3)), rtol=0, atol=1e-12)
        fooled = net(upright).argmax(1) != y
        assert fooled.equal(net(turned).argmax(1) != y)
        rates.append(fooled.double().mean().item())
    assert rates[0] < rates[-1]  # eps matters, so that the equalities say something


def attacked_by(attack: PGD, net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    batch = Batch(x, y, torch.arange(len(x)))
    return attack.perturb(net, batch, PerExample("task", batch.index)).x_adv


def test_the_flattening_head_breaks_the_lemma() -> None:
    """The paper's own net is not invariant: what PGD finds on a turned image is not the turned
    perturbation.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GCNN(widths=(4, 6), hidden=16)
        net = model.deploy(model.build((1, 20, 20), 4)).double()
    x = double((1, 20, 20))
    attack, y = PGD(eps=0.1, steps=4, random_start=False), net(x).argmax(1)
    upright, turned = (attacked_by(attack, net, images, y) for images in (x, x.rot90(1, (2, 3))))
    assert (turned - upright.rot90(1, (2, 3))).abs().max() > 0.1
