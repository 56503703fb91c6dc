from typing import Any

import pytest
import torch
from outputs import fresh, parameters
from torch import nn

from invspec.models.small_conv import SmallConv

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)


def behind(net: nn.Module) -> Any:
    """The net behind the standardisation."""
    return net.net


@pytest.mark.parametrize(
    ("fields", "shape", "read"),
    [
        ({"padding": 0}, MNIST, 800),
        ({}, MNIST, 1568),
        ({}, CIFAR, 2048),
        ({"padding": 0}, CIFAR, 1152),
        ({"padding": 0, "widths": (32, 64), "hidden": (128, 64)}, CIFAR, 2304),
    ],
)
def test_the_linear_layers_have_the_published_sizes(fields: dict, shape: tuple, read: int) -> None:
    model = SmallConv(**fields)
    net = fresh(model, shape)
    linears = [
        (layer.in_features, layer.out_features)
        for layer in net.modules()
        if isinstance(layer, nn.Linear)
    ]
    assert linears == list(zip((read, *model.hidden), (*model.hidden, 10), strict=True))
    assert net(torch.rand(2, *shape)).shape == (2, 10)


def test_its_layers_have_the_published_names() -> None:
    names = [
        name for name in behind(fresh(SmallConv(), MNIST)).state_dict() if name.endswith("weight")
    ]
    assert names == ["0.weight", "2.weight", "5.weight", "7.weight"]
    assert (
        parameters(fresh(SmallConv(), MNIST))
        == (16 * 16 + 16) + (16 * 16 * 32 + 32) + 1569 * 100 + 101 * 10
    )


def test_it_standardises_only_with_mean_and_std() -> None:
    x = torch.rand(2, *MNIST)
    net = fresh(SmallConv(), MNIST)
    assert net(x).equal(behind(net)(x))
    other = fresh(SmallConv(mean=(0.5,), std=(0.25,)), MNIST)
    torch.testing.assert_close(other(x), behind(net)(4 * x - 2))


def test_without_hidden_layers_there_is_one_linear_layer() -> None:
    net = fresh(SmallConv(hidden=()), MNIST)
    assert [type(layer) for layer in behind(net)][-2:] == [nn.Flatten, nn.Linear]


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(
        ValueError, match="a side of 8 pixels are too small for two 4x4 convolutions of stride 2"
    ):
        SmallConv(padding=0).sketch((1, 8, 8), 4)
