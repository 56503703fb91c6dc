"""The seven layers that Z2CNN and P4CNN share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from invspec.layers.factory import PlainLayers
from invspec.layers.rotated_mnist import MIN_SIDE, require_large_enough, seven_layers


@pytest.mark.parametrize(("height", "width"), [(28, 28), (30, 34), (29, 31)])
@pytest.mark.parametrize("order", [1, 4])
def test_the_last_map_has_the_size_of_the_formula(order: int, height: int, width: int) -> None:
    net = seven_layers(PlainLayers(order), 1, 3, 5, dropout=0.0)
    size = tuple((side - 4) // 2 - 11 for side in (height, width))
    assert net(torch.rand(2, 1, height, width)).shape == (2, 5 * order, *size)


def test_the_layers_come_in_units_of_convolution_norm_relu_and_dropout_or_pooling() -> None:
    net = seven_layers(PlainLayers(), 1, 3, 5, dropout=0.25)
    kinds = [type(layer) for layer in net]
    unit = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    after = [nn.Dropout, nn.MaxPool2d, *[nn.Dropout] * 4]
    assert kinds == [kind for last in after for kind in (*unit, last)] + [nn.Conv2d]
    assert {layer.p for layer in net if isinstance(layer, nn.Dropout)} == {0.25}


def test_the_smallest_images_leave_one_position_and_smaller_ones_are_refused() -> None:
    require_large_enough((1, MIN_SIDE, MIN_SIDE))
    net = seven_layers(PlainLayers(), 1, 3, 5, dropout=0.0)
    assert net(torch.rand(2, 1, MIN_SIDE, MIN_SIDE)).shape[2:] == (1, 1)
    for shape in ((1, MIN_SIDE - 1, MIN_SIDE), (1, MIN_SIDE, MIN_SIDE - 1)):
        found = f"{shape[1]}x{shape[2]}"
        with pytest.raises(ValueError, match=f"need 28x28 or more, found {found}"):
            require_large_enough(shape)
        with pytest.raises(RuntimeError):
            net(torch.rand(2, *shape))
