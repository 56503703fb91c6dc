"""The U-Net: what it returns untrained, its levels, and the sizes that it takes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from invspec.models.unet import UNet
from invspec.ops.types import Shape


def net(shape: Shape, **fields: object) -> nn.Module:
    torch.manual_seed(0)
    return UNet.model_validate(fields).build(shape, 10)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 9, 13)])
def test_an_untrained_net_returns_the_target(shape: Shape) -> None:
    source, target = torch.rand(2, 4, *shape)
    assert net(shape)(torch.cat([source, target], dim=1)).equal(target)


def test_a_trained_net_corrects_the_target() -> None:
    made = net((1, 8, 8))
    nn.init.constant_(made.last.bias, 0.25)
    source, target = torch.rand(2, 4, 1, 8, 8)
    torch.testing.assert_close(made(torch.cat([source, target], dim=1)), target + 0.25)


def test_it_reads_both_images() -> None:
    made = net((1, 8, 8))
    nn.init.normal_(made.last.weight)
    pair = torch.rand(1, 2, 8, 8).requires_grad_()
    made(pair).square().sum().backward()
    assert pair.grad is not None
    assert (pair.grad.abs().amax((0, 2, 3)) > 0).all()


def test_each_level_has_half_the_sides_of_the_last() -> None:
    made = UNet(widths=(4, 6, 8)).build((1, 28, 28), 10)
    sides: list[tuple[int, ...]] = []
    for level in made.down:
        level.register_forward_hook(lambda module, given, maps: sides.append(tuple(maps.shape[1:])))
    made(torch.rand(1, 2, 28, 28))
    assert sides == [(4, 28, 28), (6, 14, 14), (8, 7, 7)]


def test_a_single_level_has_no_skip() -> None:
    made = net((1, 5, 5), widths=(4,))
    assert not len(made.up)
    assert made(torch.rand(2, 2, 5, 5)).shape == (2, 1, 5, 5)


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="images of 1x16 pixels are too small for 3 levels"):
        UNet().sketch((1, 1, 16), 2)
