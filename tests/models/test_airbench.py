from __future__ import annotations

import pytest
import torch
from outputs import fresh, parameters, shapes
from torch import nn

from invspec.layers.standardise import CIFAR10_MEAN, CIFAR10_STD, Standardise
from invspec.layers.whitening import PatchWhitening
from invspec.models.airbench import Airbench, Group, conv
from invspec.registry.methods import make

CIFAR = (3, 32, 32)


def test_its_groups_halve_the_whitened_map() -> None:
    x = torch.zeros(1, *CIFAR, device="meta")
    expected = [(64, 15, 15), (256, 7, 7), (256, 3, 3)]
    assert shapes(Airbench().sketch(CIFAR, 10), x, Group) == expected


def test_its_parameters_are_those_of_its_layers() -> None:
    """The whitening has a bias of 24; the last layer has none."""
    total = 24 + 256 * 10
    for before, width in ((24, 64), (64, 256), (256, 256)):
        total += 9 * before * width + 9 * width * width + 2 * 2 * width
    assert parameters(Airbench().sketch(CIFAR, 10)) == total == 1_972_504


def test_a_residual_net_has_a_third_convolution_in_each_group() -> None:
    plain, residual = (
        parameters(Airbench(widths=(8, 16), residual=third).sketch(CIFAR, 10))
        for third in (False, True)
    )
    assert residual - plain == sum(9 * width * width + 2 * width for width in (8, 16))
    assert make("model", "airbench_residual", {}) == Airbench(widths=(128, 512, 512), residual=True)


@pytest.mark.parametrize("residual", [False, True])
def test_a_group_whose_last_norm_is_zero_passes_on_its_shortcut_or_nothing(residual: bool) -> None:
    group, x = Group(3, 4, residual=residual).eval(), torch.randn(2, 3, 8, 8)
    for parameter in group.rest[-1].parameters():
        torch.nn.init.zeros_(parameter)
    reduced = group.activate(group.reduce(x))
    assert torch.equal(group(x), reduced if residual else torch.zeros_like(reduced))


@pytest.mark.parametrize(("fan_in", "fan_out"), [(3, 5), (5, 5), (5, 3)])
def test_a_convolution_starts_as_the_identity_on_the_channels_that_it_can_copy(
    fan_in: int, fan_out: int
) -> None:
    x = torch.randn(2, fan_in, 6, 6)
    same = min(fan_in, fan_out)
    assert torch.equal(conv(fan_in, fan_out)(x)[:, :same], x[:, :same])


def test_the_logits_are_a_ninth_of_the_last_layers_outputs() -> None:
    net = fresh(Airbench(widths=(4, 4, 4)), CIFAR)
    (linear,) = (layer for layer in net.modules() if isinstance(layer, nn.Linear))
    kept: list[torch.Tensor] = []
    linear.register_forward_hook(lambda _, __, out: kept.append(out))
    torch.testing.assert_close(net(torch.rand(2, *CIFAR)), kept[0] / 9)


def test_a_learned_first_layer_has_the_width_of_the_first_group_and_keeps_the_map() -> None:
    model = Airbench(widths=(4, 6), whitened=False)
    x = torch.zeros(1, *CIFAR, device="meta")
    net = model.sketch(CIFAR, 10)
    assert shapes(net, x, Group) == [(4, 16, 16), (6, 8, 8)]
    first = next(layer for layer in net.modules() if isinstance(layer, nn.Conv2d))
    assert first.weight.shape == (4, 3, 3, 3)
    assert not any(isinstance(layer, PatchWhitening) for layer in net.modules())


def test_its_first_layer_with_weights_is_the_whitening_of_2_x_2_patches() -> None:
    net = fresh(Airbench(widths=(4,)), CIFAR)
    (whitening,) = (layer for layer in net.modules() if isinstance(layer, PatchWhitening))
    assert whitening.weight.shape == (24, 3, 2, 2)
    read: list[torch.Tensor] = []
    whitening.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    x = torch.rand(2, *CIFAR)
    net(x)
    assert torch.equal(read[0], Standardise(CIFAR10_MEAN, CIFAR10_STD, 3)(x))


def test_a_smoke_run_has_a_narrow_net() -> None:
    assert Airbench().smoke().widths == (8, 8, 8)
