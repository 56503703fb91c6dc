import pytest
import torch
from outputs import parameters, shapes
from torch import nn

from invspec.models.vgg16 import VGG16

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
