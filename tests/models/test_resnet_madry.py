from itertools import pairwise

import pytest
import torch
from outputs import fresh, parameters, shapes
from torch import nn
from torch.nn import functional as F

from invspec.models.resnet_madry import PadChannels, PreActivationUnit, ResNetMadry

CIFAR = (3, 32, 32)
WIDE, NARROW = (16, 160, 320, 640), (16, 16, 32, 64)


def by_hand(widths: tuple[int, ...], units: int = 5) -> int:
    """Convolutions without bias, two numbers per channel in batch norm, the linear layer."""
    total = 9 * 3 * widths[0] + 2 * widths[-1] + widths[-1] * 10 + 10
    for before, width in pairwise(widths):
        fans = [(before, width)] + [(width, width)] * (units - 1)
        total += sum(
            2 * fan_in + 9 * fan_in * fan_out + 2 * fan_out + 9 * fan_out**2
            for fan_in, fan_out in fans
        )
    return total


@pytest.mark.parametrize(("widths", "total"), [(WIDE, 45_901_914), (NARROW, 464_154)])
def test_its_parameters_are_those_of_its_layers(widths: tuple[int, ...], total: int) -> None:
    assert parameters(ResNetMadry(widths=widths).sketch(CIFAR, 10)) == by_hand(widths) == total


def test_three_groups_of_five_units_halve_the_map_twice() -> None:
    net, x = ResNetMadry().sketch(CIFAR, 10), torch.zeros(1, *CIFAR, device="meta")
    expected = [(160, 32, 32)] * 5 + [(320, 16, 16)] * 5 + [(640, 8, 8)] * 5
    assert shapes(net, x, PreActivationUnit) == expected
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) + 1 == 32  # with the linear layer, the 32 of its name
    assert not any(layer.bias is not None for layer in convolutions)


def test_fewer_units_suit_a_laptop() -> None:
    net = fresh(ResNetMadry(widths=NARROW, units=1), CIFAR)
    assert parameters(net) == by_hand(NARROW, units=1)
    assert net(torch.rand(2, *CIFAR)).shape == (2, 10)


def test_a_shortcut_averages_positions_and_adds_channels_of_zeros_on_both_sides() -> None:
    unit, x = PreActivationUnit(2, 5, stride=2).eval(), torch.randn(3, 2, 4, 4)
    for weight in unit.residual.parameters():
        nn.init.zeros_(weight)
    out = unit(x)
    torch.testing.assert_close(out[:, 1:3], F.avg_pool2d(x, 2))
    assert out[:, [0, 3, 4]].eq(0).all()


def test_only_the_first_units_shortcut_is_activated() -> None:
    units = [
        layer
        for layer in fresh(ResNetMadry(widths=NARROW), CIFAR).modules()
        if isinstance(layer, PreActivationUnit)
    ]
    assert [unit.activate_shortcut for unit in units] == [True] + [False] * 14
    activated, x = units[0].eval(), -torch.ones(1, 16, 4, 4)
    for weight in activated.residual.parameters():
        nn.init.zeros_(weight)
    torch.testing.assert_close(
        activated(x), -0.1 * torch.ones_like(x), atol=1e-3, rtol=0
    )  # eps 1e-3 of batch norm


def test_brightness_and_contrast_change_no_logit() -> None:
    net, x = fresh(ResNetMadry(widths=NARROW, units=1), CIFAR).eval(), torch.rand(4, *CIFAR)
    torch.testing.assert_close(net(0.5 * x + 0.25), net(x), atol=1e-4, rtol=1e-4)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(
        ValueError, match="ResNetMadry needs a height and width divisible by 4, found 30x32"
    ):
        ResNetMadry().sketch((3, 30, 32), 10)
    with pytest.raises(ValueError, match="a group has 3 channels fewer"):
        PadChannels(-3)


def test_a_smoke_run_has_a_narrow_net_with_both_kinds_of_units() -> None:
    narrow = ResNetMadry().smoke()
    assert (narrow.widths, narrow.units) == ((4, 8, 12, 16), 2)
    assert ResNetMadry(widths=(2, 2, 3, 3), units=1).smoke().units == 1
    assert narrow.build((3, 32, 32), 10)(torch.rand(2, 3, 32, 32)).shape == (2, 10)
