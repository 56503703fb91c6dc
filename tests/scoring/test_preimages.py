"""Activations as measures of pre-images read them."""

from __future__ import annotations

import torch
from torch import nn

from invspec.models.fully_connected_firevnet import FullyConnectedFiRevNet
from invspec.scoring.preimages import activations

X = torch.rand(5, 1, 1, 6, generator=torch.Generator().manual_seed(0))


def test_a_layer_is_read_before_the_next_one_works_in_place() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2, bias=False), nn.ReLU(inplace=True))
    net[1].weight.data = torch.ones(2, 6)
    with torch.no_grad():
        layers = activations(net, ("1",), -X)
    assert (layers["layer 1"] < 0).all()


def test_the_activations_of_a_bijection_leave_out_its_log_determinant() -> None:
    net = FullyConnectedFiRevNet().build((1, 1, 6), 2).eval().requires_grad_(False)
    assert activations(net, ("stages.0",), X)["layer stages.0"].shape == (5, 6)
