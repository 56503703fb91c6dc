"""Operations of nets whose products can be counted by hand."""

from __future__ import annotations

import torch
from torch import nn

from invspec.ops.operations import backward_operations, forward_operations
from invspec.ops.proxy import ModelProxy

# 3 channels of 3 x 3 weights for each of 4 channels and 6 x 6 pixels, a product and a sum each
CONV = 2 * 3 * 9 * 4 * 36
LINEAR = 2 * 4 * 36 * 5


def net() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)
    return nn.Sequential(*layers).eval().requires_grad_(False)


def test_a_forward_pass_has_those_of_its_layers() -> None:
    assert forward_operations(net(), torch.rand(1, 3, 8, 8)) == CONV + LINEAR


def test_a_backward_pass_to_the_image_has_as_many() -> None:
    assert backward_operations(net(), torch.rand(1, 3, 8, 8)) == CONV + LINEAR


def test_proxies_cost_nothing() -> None:
    wrapped = ModelProxy(ModelProxy(net()))
    assert forward_operations(wrapped, torch.rand(1, 3, 8, 8)) == CONV + LINEAR


def test_no_gradient_is_left_behind() -> None:
    made, x = net(), torch.rand(1, 3, 8, 8)
    forward_operations(made, x)
    backward_operations(made, x)
    assert x.grad is None
    assert all(weight.grad is None for weight in made.parameters())
