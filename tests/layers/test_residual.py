"""Residual blocks and nets made of them."""

from __future__ import annotations

import pytest
import torch
from outputs import shapes
from torch import Tensor, nn

from invspec.layers.residual import BasicBlock, conv3x3, groups, residual_net


def images(channels: int, side: int = 8) -> Tensor:
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0))


def silent(block: BasicBlock) -> BasicBlock:
    """The block with a residual of 0."""
    last = list(block.residual)[-1]
    nn.init.zeros_(last.get_parameter("weight"))
    nn.init.zeros_(last.get_parameter("bias"))
    return block.eval()


def test_without_a_residual_a_block_is_the_relu_of_its_shortcut() -> None:
    x = images(4)
    assert torch.equal(silent(BasicBlock(4, 4))(x), x.relu())
    wider = silent(BasicBlock(4, 6, stride=2))
    conv, norm = wider.shortcut
    assert torch.equal(wider(x), norm(conv(x)).relu())
    assert wider(x).shape == (2, 6, 4, 4)


def test_a_block_adds_its_residual_before_the_last_relu() -> None:
    block, x = BasicBlock(4, 4).eval(), images(4)
    first, norm, _, second, last_norm = block.residual
    residual = last_norm(second(norm(first(x)).relu()))
    torch.testing.assert_close(block(x), (x + residual).relu())


@pytest.mark.parametrize(
    ("fan_in", "fan_out", "stride", "layers"), [(4, 4, 1, 0), (4, 6, 1, 2), (4, 4, 2, 2)]
)
def test_only_a_changed_shape_needs_a_projection(
    fan_in: int, fan_out: int, stride: int, layers: int
) -> None:
    assert len(BasicBlock(fan_in, fan_out, stride).shortcut) == layers


def test_every_group_but_the_first_halves_the_map_once() -> None:
    made = list(groups(lambda *arguments: nn.Linear(*arguments[:2]), (4, 8, 16), 2))
    assert [(layer.in_features, layer.out_features) for layer in made] == [
        *[(4, 4), (4, 4)],
        *[(4, 8), (8, 8)],
        *[(8, 16), (16, 16)],
    ]
    strides: list[int] = []
    list(groups(lambda *arguments: (strides.append(arguments[2]), nn.Identity())[1], (4, 8, 16), 2))
    assert strides == [1, 1, 2, 1, 2, 1]


def test_a_padded_convolution_keeps_the_size_and_has_no_bias() -> None:
    conv = conv3x3(4, 6)
    assert conv.bias is None
    assert conv(images(4)).shape == (2, 6, 8, 8)
    assert conv3x3(4, 6, stride=2)(images(4, side=7)).shape == (2, 6, 4, 4)


def test_a_net_has_a_stem_blocks_and_one_linear_layer() -> None:
    net = residual_net(3, (4, 8), 2, 10)
    assert shapes(net, images(3), BasicBlock) == [(4, 8, 8)] * 2 + [(8, 4, 4)] * 2
    assert net(images(3)).shape == (2, 10)
    # 2 x 2 convolutions in each group, the stem, and one projection
    assert sum(isinstance(layer, nn.Conv2d) for layer in net.modules()) == 10


def test_convolutions_start_with_the_deviation_of_he_by_fan_out() -> None:
    torch.manual_seed(0)
    net = residual_net(3, (64, 128), 1, 10)
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    for conv in convolutions:
        expected = (2 / (conv.out_channels * conv.kernel_size[0] ** 2)) ** 0.5
        # of at least 1,728 draws: six standard errors are 10 %
        assert conv.weight.std().item() == pytest.approx(expected, rel=0.1)
