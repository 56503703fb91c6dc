"""i-RevNet: an invertible backbone, then a projection."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from outputs import fresh, lived
from torch import nn

from invspec.kinds import Bijective, Model
from invspec.models.irevnet import IRevNet
from invspec.registry import methods


def test_its_backbone_is_invertible_and_its_logits_are_a_projection() -> None:
    x = torch.rand(4, 1, 16, 16)
    net: Any = lived(fresh(IRevNet(blocks=(2, 2), input_squeezes=1), (1, 16, 16), 4), x).double()
    code, log_det = net.backbone(x.double())
    assert code.shape == (4, 16, 4, 4)
    torch.testing.assert_close(net.backbone.inverse(code), x.double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(log_det, 256 * torch.tensor(2.0).double().log().expand(4))
    torch.testing.assert_close(net(x.double()), net.readout(code))
    assert not isinstance(net, Bijective)


def test_the_card_is_the_net_of_300_layers() -> None:
    card = methods.make("model", "irevnet", {})
    assert isinstance(card, Model)
    convolutions = [
        layer
        for layer in card.sketch((3, 224, 224), 1000).modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert len(convolutions) == 300
    assert [convolutions[3 * block].in_channels for block in (0, 6, 22, 94)] == [24, 96, 384, 1536]


def test_all_but_the_very_first_convolution_read_batch_norm_and_relu() -> None:
    net: Any = fresh(IRevNet(blocks=(1, 1), input_squeezes=1), (1, 16, 16), 4)
    couplings = [layer.net for layer in net.backbone.layers if hasattr(layer, "net")]
    kinds = [[type(layer) for layer in coupling] for coupling in couplings]
    triple = [nn.BatchNorm2d, nn.ReLU, nn.Conv2d]
    assert kinds == [[nn.Conv2d, *triple, *triple], triple * 3]


def test_the_inner_convolutions_have_a_quarter_of_the_channels_of_a_half() -> None:
    net = fresh(IRevNet(blocks=(1,), input_squeezes=2), (1, 16, 16), 4)
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels) for c in convolutions] == [(8, 2), (2, 2), (2, 8)]


def test_maps_of_odd_size_are_refused() -> None:
    with pytest.raises(ValueError, match="a squeeze needs an even height and width, found 7x7"):
        IRevNet().sketch((1, 28, 28), 10)
