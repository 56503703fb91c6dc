"""Ordinary layers with as many channels as equivariant ones."""

from __future__ import annotations

import torch
from torch import nn

from invspec.layers.factory import PlainLayers


def test_with_order_1_the_layers_are_those_of_an_ordinary_net() -> None:
    layers = PlainLayers()
    torch.manual_seed(0)
    made = [layers.lift(3, 4, 5, padding=2), layers.conv(4, 6), layers.norm(6)]
    torch.manual_seed(0)
    plain = [nn.Conv2d(3, 4, 5, padding=2), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)]
    assert [repr(layer) for layer in made] == [repr(layer) for layer in plain]
    for layer, expected in zip(made, plain, strict=True):
        torch.testing.assert_close(layer.state_dict(), expected.state_dict(), rtol=0, atol=0)


def test_a_field_has_one_channel_per_group_element() -> None:
    layers = PlainLayers(8)
    lift, conv, norm = layers.lift(3, 2), layers.conv(2, 5, 4, padding=1), layers.norm(5)
    assert (lift.in_channels, lift.out_channels) == (3, 16)
    assert (conv.in_channels, conv.out_channels) == (16, 40)
    assert (conv.kernel_size, conv.padding) == ((4, 4), (1, 1))
    assert norm.num_features == 40
