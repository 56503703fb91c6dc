"""The convolutional part of the AlexNet for small images."""

from __future__ import annotations

import torch
from outputs import parameters, shapes
from torch import nn

from invspec.layers.cifar_alexnet import RELUS, WIDTHS, cifar_alexnet


def test_the_maps_of_32_by_32_images_have_these_shapes() -> None:
    net, x = cifar_alexnet(3), torch.rand(2, 3, 32, 32)
    sizes = (16, 8, 4, 4, 4)
    assert shapes(net, x, nn.ReLU) == [
        (width, size, size) for width, size in zip(WIDTHS, sizes, strict=True)
    ]
    assert net(x).shape == (2, 256, 2, 2)


def test_the_listed_positions_are_those_of_all_relus() -> None:
    layers = enumerate(cifar_alexnet(1))
    assert [place for place, layer in layers if isinstance(layer, nn.ReLU)] == list(RELUS)


def test_the_number_of_parameters_follows_from_the_widths() -> None:
    widths = (2, 3, 5, 7, 11)
    expected = sum(9 * a * b + b for a, b in zip((3, *widths), widths, strict=False))
    assert parameters(cifar_alexnet(3, widths)) == expected
