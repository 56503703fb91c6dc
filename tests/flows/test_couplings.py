"""Coupling layers, and the networks inside them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from flow_toys import learnt, random_maps
from torch import nn

from invspec.flows.couplings import (
    MIN_H,
    AdditiveCoupling,
    AffineCoupling,
    NormedConv,
    ScaledConv,
    coupling_net,
    frozen_statistics,
    halvable,
)
from invspec.flows.layers import ActNorm


def test_actnorm_inside_a_convolution_is_folded_into_it() -> None:
    layer: Any = NormedConv(4, 6, 3, "actnorm").double()
    x = 2 + random_maps()
    y = layer(x)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(6, dtype=y.dtype), rtol=0, atol=1e-6)
    learnt(layer)
    torch.testing.assert_close(layer(x), layer.norm(layer.conv(x))[0])


def test_a_coupling_starts_as_the_identity_or_as_one_scale() -> None:
    x = random_maps()
    assert AdditiveCoupling(coupling_net(2, 5, 2, "actnorm")).double()(x)[0].equal(x)
    y, log_det = AffineCoupling(coupling_net(2, 5, 4, "actnorm")).double()(x)
    scale = torch.sigmoid(torch.tensor(2.0, dtype=torch.float64))
    torch.testing.assert_close(y, torch.cat([x[:, :2], scale * x[:, 2:]], dim=1))
    torch.testing.assert_close(log_det, (32 * scale.log()).expand(3))


def test_the_last_convolution_is_scaled_by_exp_of_three_log_scale() -> None:
    layer, x = learnt(ScaledConv(4, 2)), random_maps()
    bare = nn.functional.conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), bare * (3 * layer.log_scale).exp().view(-1, 1, 1))


def test_inverting_far_away_codes_does_not_overflow() -> None:
    net = nn.Conv2d(2, 4, 1)
    nn.init.constant_(net.weight, 0)
    nn.init.constant_(net.bias, -1e4)
    layer = AffineCoupling(net)
    x = layer.inverse(torch.ones(1, 4, 2, 2))
    assert x.isfinite().all()
    log_det = layer(x)[1]
    assert log_det.item() == pytest.approx(8 * math.log(1 / (1 + math.exp(-MIN_H - 2))), rel=1e-5)


def test_norms_learn_nothing_while_their_statistics_are_frozen() -> None:
    net, x = coupling_net(2, 5, 2, "batch_norm"), torch.randn(8, 2, 4, 4)
    before = [buffer.clone() for buffer in net.buffers()]
    with frozen_statistics(net):
        net(x)
    assert all(buffer.equal(old) for buffer, old in zip(net.buffers(), before, strict=True))
    net(x)
    assert not all(buffer.equal(old) for buffer, old in zip(net.buffers(), before, strict=True))


def test_inverting_does_not_initialise_actnorm() -> None:
    layer = AdditiveCoupling(coupling_net(2, 5, 2, "actnorm")).train()
    layer.inverse(torch.randn(3, 4, 4, 4))
    assert not any(module.initialised for module in layer.modules() if isinstance(module, ActNorm))


def test_couplings_need_an_even_number_of_channels() -> None:
    assert halvable((4, 3, 3)) == (4, 3, 3)
    message = "couplings need an even number of channels, found 5: squeeze the input"
    with pytest.raises(ValueError, match=message):
        halvable((5, 4, 4))


def test_a_coupling_keeps_the_half_that_its_network_reads() -> None:
    layer, x = learnt(AffineCoupling(coupling_net(2, 5, 4, "none"))), random_maps()
    other = torch.cat([x[:, :2], random_maps()[:, :2]], dim=1)
    assert torch.equal(layer(x)[0][:, :2], x[:, :2])
    assert torch.equal(layer(x)[1], layer(other)[1])
    assert not torch.equal(layer(x)[0][:, 2:], layer(other)[0][:, 2:])
