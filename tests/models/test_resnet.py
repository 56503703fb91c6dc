import torch
from outputs import fresh, parameters, shapes
from torch import nn

from invspec.layers.residual import BasicBlock
from invspec.models.resnet import ResNet18

CIFAR = (3, 32, 32)


def test_it_has_four_groups_of_two_blocks() -> None:
    x = torch.zeros(1, *CIFAR, device="meta")
    expected = [(64, 32, 32)] * 2 + [(128, 16, 16)] * 2 + [(256, 8, 8)] * 2 + [(512, 4, 4)] * 2
    assert shapes(ResNet18().sketch(CIFAR, 10), x, BasicBlock) == expected


def test_its_parameters_are_those_of_its_layers() -> None:
    total = 9 * 3 * 64 + 2 * 64 + 512 * 10 + 10
    for before, width in ((64, 64), (64, 128), (128, 256), (256, 512)):
        total += 9 * before * width + 3 * 9 * width * width + 4 * 2 * width
        total += before * width + 2 * width if before != width else 0  # the shortcut
    assert parameters(ResNet18().sketch(CIFAR, 10)) == total == 11_173_962


def test_a_narrow_net_has_a_path_of_eighteen_layers_with_weights() -> None:
    net = fresh(ResNet18(width=4), CIFAR)
    weighted = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    shortcuts = [
        layer for layer in weighted if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)
    ]
    assert len(weighted) - len(shortcuts) == 18
    assert net(torch.rand(2, *CIFAR)).shape == (2, 10)


def test_a_block_with_zero_residual_is_its_shortcut() -> None:
    block = BasicBlock(3, 3).eval()
    for weight in block.residual.parameters():
        nn.init.zeros_(weight)
    x = torch.randn(2, 3, 5, 5)
    assert block(x).equal(x.relu())
