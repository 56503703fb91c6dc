from typing import Any

import torch
from outputs import fresh, parameters

from invspec.models.resnet2b import ResNet2B

CIFAR = (3, 32, 32)


def test_the_residual_net_reads_1024_numbers_of_16_channels() -> None:
    net = fresh(ResNet2B(), CIFAR)
    stem = 9 * 3 * 8 + 8
    blocks = (9 * 8 * 16 + 16) + 3 * (9 * 16 * 16 + 16) + (8 * 16 + 16)
    assert parameters(net) == stem + blocks + 1025 * 100 + 101 * 10
    assert net(torch.rand(2, *CIFAR)).shape == (2, 10)


def test_the_residual_nets_first_layer_is_rectified() -> None:
    standardised: Any = fresh(ResNet2B(), CIFAR)
    net, x = standardised.net, torch.rand(2, *CIFAR)
    net.conv1.register_forward_hook(lambda _, __, out: -out.abs())
    zero = net.linear2(net.linear1(net.layer1(torch.zeros(2, 8, 16, 16)).flatten(1)).relu())
    assert net(x).equal(zero)
