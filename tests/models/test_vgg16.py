from typing import Any

import pytest
import torch
from outputs import parameters, shapes
from pydantic import ValidationError
from torch import nn

from invspec.models.vgg16 import VGG16
from invspec.registry.methods import make

CIFAR = (3, 32, 32)
CONVS = [  # channels in and out, and the size of the map
    *((3, 64, 32), (64, 64, 32), (64, 128, 16), (128, 128, 16)),
    *((128, 256, 8), (256, 256, 8), (256, 256, 8)),
    *((256, 512, 4), (512, 512, 4), (512, 512, 4), (512, 512, 2), (512, 512, 2), (512, 512, 2)),
]


def test_it_has_thirteen_convolutions_that_keep_the_size_and_five_poolings_that_halve_it() -> None:
    net, x = VGG16().sketch(CIFAR, 10), torch.zeros(1, *CIFAR, device="meta")
    assert shapes(net, x, nn.Conv2d) == [(fan_out, size, size) for _, fan_out, size in CONVS]
    assert shapes(net, x, nn.MaxPool2d) == [
        (64, 16, 16),
        (128, 8, 8),
        (256, 4, 4),
        (512, 2, 2),
        (512, 1, 1),
    ]
    assert shapes(net, x, nn.Conv2d) == shapes(net, x, nn.BatchNorm2d) == shapes(net, x, nn.ReLU)


def test_its_parameters_are_those_of_its_layers() -> None:
    convolutions = sum(9 * fan_in * fan_out + fan_out for fan_in, fan_out, _ in CONVS)
    norms = sum(2 * fan_out for _, fan_out, _ in CONVS)
    assert convolutions + norms + 512 * 10 + 10 == 14_728_266
    assert parameters(VGG16().sketch(CIFAR, 10)) == 14_728_266


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="VGG16 needs images of at least 32x32, found 28x28"):
        VGG16().sketch((3, 28, 28), 10)


def test_hidden_makes_it_configuration_d_with_dropout_after_each_hidden_layer() -> None:
    hidden: Any = make("model", "vgg16_hidden", {})
    sketch = hidden.sketch(CIFAR, 10)
    linear = [layer for layer in sketch.modules() if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [
        *[(512, 4096), (4096, 4096), (4096, 10)]
    ]
    assert [layer.p for layer in sketch.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]
    assert linear[1].in_features * linear[1].out_features == 4096**2


@pytest.mark.parametrize(("rate", "drops"), [(None, True), (0.3, True), (0.0, False)])
def test_hidden_units_are_dropped_in_training_only(rate: float | None, drops: bool) -> None:
    model = VGG16(widths=(2, 2, 2, 2, 2), hidden=(64,), dropout=rate)
    net, x = model.build(CIFAR, 10), torch.rand(1, *CIFAR)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    assert net(x).equal(net(x)) is not drops
    assert net.eval()(x).equal(net(x))


def test_dropout_without_hidden_layers_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"dropout 0.5 needs hidden layers"):
        VGG16(dropout=0.5)


@pytest.mark.parametrize("name", ["vgg16", "vgg16_hidden", "gcnn_vgg16"])
def test_a_smoke_run_has_a_narrow_net_of_the_same_layers(name: str) -> None:
    whole: Any = make("model", name, {})
    narrow = whole.smoke()
    assert max(narrow.widths) == 8

    def kinds(model: Any) -> list[type[nn.Module]]:
        return [type(layer) for layer in model.sketch(CIFAR, 10).modules()]

    assert kinds(narrow) == kinds(whole)
    assert parameters(narrow.sketch(CIFAR, 10)) < 0.01 * parameters(whole.sketch(CIFAR, 10))
