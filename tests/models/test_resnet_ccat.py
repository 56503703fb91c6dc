from itertools import pairwise

import pytest
import torch
from outputs import fresh, parameters, shapes
from torch import nn

from invspec.layers.residual import BasicBlock
from invspec.models.resnet_ccat import CCATResNet
from invspec.ops.types import Shape

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)


def by_hand(channels: int, widths: tuple[int, ...], blocks: int = 3) -> int:
    """Convolutions without bias, two numbers per channel in batch norm, the linear layer."""
    total = 9 * channels * widths[0] + 2 * widths[0] + widths[-1] * 10 + 10
    for before, width in pairwise((widths[0], *widths)):
        total += 9 * before * width + (2 * blocks - 1) * 9 * width**2 + 2 * blocks * 2 * width
        total += before * width + 2 * width if before != width else 0  # the shortcut
    return total


@pytest.mark.parametrize(
    ("shape", "maps"),
    [(MNIST, [28, 14, 7]), (CIFAR, [32, 16, 8])],
    ids=["28 x 28 x 1", "32 x 32 x 3"],
)
def test_three_groups_of_three_blocks_halve_the_map_twice(shape: Shape, maps: list[int]) -> None:
    net, x = CCATResNet().sketch(shape, 10), torch.zeros(1, *shape, device="meta")
    expected = [
        (width, size, size)
        for width, size in zip((64, 128, 256), maps, strict=True)
        for _ in range(3)
    ]
    assert shapes(net, x, BasicBlock) == expected
    assert not any(isinstance(layer, nn.MaxPool2d) for layer in net.modules())


@pytest.mark.parametrize(("channels", "total"), [(1, 4_326_602), (3, 4_327_754)])
def test_its_parameters_are_those_of_its_layers(channels: int, total: int) -> None:
    assert (
        parameters(CCATResNet().sketch((channels, 28, 28), 10))
        == by_hand(channels, (64, 128, 256))
        == total
    )


def test_it_has_a_path_of_twenty_layers_with_weights() -> None:
    weighted = [
        layer
        for layer in CCATResNet().sketch(CIFAR, 10).modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    shortcuts = [
        layer for layer in weighted if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)
    ]
    assert (len(weighted), len(shortcuts)) == (22, 2)


def test_smoke_is_a_narrow_net_with_one_block_per_group() -> None:
    net = fresh(CCATResNet(widths=(8, 8), blocks=1), MNIST)
    assert net(torch.rand(2, *MNIST)).shape == (2, 10)
    assert shapes(net, torch.rand(2, *MNIST), BasicBlock) == [(8, 28, 28), (8, 14, 14)]
