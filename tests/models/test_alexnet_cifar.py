from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from outputs import fresh, parameters
from torch import nn

from invspec.models.alexnet_cifar import AlexNetCIFAR
from invspec.perceptual.backbones import backbone
from invspec.perceptual.distances import distance
from invspec.perceptual.features import embedded, own_features

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)
SLIM = AlexNetCIFAR(widths=(4, 6, 8, 6, 6), hidden=16)
GREY = SLIM.model_copy(update={"mean": (0.5,), "std": (0.5,)})


def test_its_layers_are_those_of_the_paper() -> None:
    net: Any = AlexNetCIFAR().sketch(CIFAR, 10)
    convolutions = [
        (layer.in_channels, layer.out_channels)
        for layer in net.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    linears = [
        (layer.in_features, layer.out_features)
        for layer in net.modules()
        if isinstance(layer, nn.Linear)
    ]
    assert convolutions == [(3, 64), (64, 192), (192, 384), (384, 256), (256, 256)]
    assert linears == [(1024, 4096), (4096, 4096), (4096, 10)]
    assert net.net.features(torch.empty(2, *CIFAR, device="meta")).shape == (2, 256, 2, 2)


@pytest.mark.parametrize(
    ("shape", "read"), [(MNIST, 6), (CIFAR, 24), ((3, 15, 40), 12), ((3, 64, 64), 96)]
)
def test_the_linear_layers_read_the_last_maps(shape: tuple, read: int) -> None:
    net = fresh(GREY, shape)
    first = next(layer for layer in net.modules() if isinstance(layer, nn.Linear))
    assert first.in_features == read
    assert net(torch.rand(2, *shape)).shape == (2, 10)


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 15x15, found 14x32"):
        SLIM.sketch((1, 14, 32), 4)


def test_its_features_are_the_five_outputs_after_relu() -> None:
    net: Any = fresh(SLIM, CIFAR).eval()
    x = torch.rand(3, *CIFAR)
    each, maps = net.standardise(x), []
    for layer in net.net.features:
        each = layer(each)
        maps += [each] if isinstance(layer, nn.ReLU) else []
    assert [tuple(found.shape[1:]) for found in maps] == [
        (4, 16, 16),
        (6, 8, 8),
        (8, 4, 4),
        (6, 4, 4),
        (6, 4, 4),
    ]
    torch.testing.assert_close(own_features(net, x)[1], embedded(maps))


def test_its_saved_weights_serve_the_distance_laidlaw_alexnet_cifar(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    net = fresh(AlexNetCIFAR(hidden=8), CIFAR).eval()
    (tmp_path / "weights").mkdir()
    safetensors.torch.save_file(
        net.state_dict(), tmp_path / "weights" / "alexnet_cifar.safetensors"
    )
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    x, other = torch.rand(2, 8, *CIFAR)
    backbone.cache_clear()
    found = distance("laidlaw_alexnet_cifar")(x, other)
    backbone.cache_clear()
    torch.testing.assert_close(found, distance("laidlaw_self", net)(x, other))


def test_number_of_parameters_of_the_convolutions() -> None:
    assert parameters(fresh(SLIM, CIFAR).net.features) == 28 * 4 + 37 * 6 + 55 * 8 + 73 * 6 + 55 * 6
