import torch
from outputs import fresh, parameters, shapes
from torch import nn

from invspec.models.preact_resnet18 import PreActBlock, PreActResNet18

CIFAR = (3, 32, 32)


def test_it_has_four_groups_of_two_blocks() -> None:
    x = torch.zeros(1, *CIFAR, device="meta")
    expected = [(64, 32, 32)] * 2 + [(128, 16, 16)] * 2 + [(256, 8, 8)] * 2 + [(512, 4, 4)] * 2
    assert shapes(PreActResNet18().sketch(CIFAR, 10), x, PreActBlock) == expected


def test_its_parameters_are_those_of_its_layers() -> None:
    """Each batch norm has the channels of its input; there is none before the global mean."""
    total = 9 * 3 * 64 + 512 * 10 + 10
    for before, width in ((64, 64), (64, 128), (128, 256), (256, 512)):
        total += 9 * before * width + 3 * 9 * width * width + 2 * before + 3 * 2 * width
        total += before * width if before != width else 0  # the shortcut
    assert parameters(PreActResNet18().sketch(CIFAR, 10)) == total == 11_171_146


def test_logits_are_linear_in_the_mean_of_the_last_block() -> None:
    net = fresh(PreActResNet18(width=4), CIFAR)
    blocks = [module for module in net.modules() if isinstance(module, PreActBlock)]
    kept: list[torch.Tensor] = []
    blocks[-1].register_forward_hook(lambda _, __, out: kept.append(out))
    logits = net(torch.rand(2, *CIFAR))
    (last,) = (module for module in net.modules() if isinstance(module, nn.Linear))
    torch.testing.assert_close(logits, last(kept[0].mean((2, 3))))
    assert (kept[0] < 0).any()


def test_a_narrow_net_has_a_path_of_eighteen_layers_with_weights() -> None:
    net = fresh(PreActResNet18(width=4), CIFAR)
    weighted = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    shortcuts = [
        layer for layer in weighted if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)
    ]
    assert (len(weighted) - len(shortcuts), len(shortcuts)) == (18, 3)
    assert net(torch.rand(2, *CIFAR)).shape == (2, 10)


def test_a_block_with_zero_residual_gives_its_input_or_a_projection_of_its_activation() -> None:
    x = torch.randn(2, 3, 6, 6)
    for block in (PreActBlock(3, 3).eval(), PreActBlock(3, 5, stride=2).eval()):
        for weight in block.residual.parameters():
            nn.init.zeros_(weight)
        assert block(x).equal(x if block.shortcut is None else block.shortcut(block.activate(x)))
