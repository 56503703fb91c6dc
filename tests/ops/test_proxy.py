"""A proxy offers what its net offers, and routes some of its methods."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.ops.proxy import ModelProxy


class Shift(nn.Module):
    """x + 1, with an inverse."""

    pixel_std = (0.5,)

    def forward(self, x: Tensor) -> Tensor:
        return x + 1

    def decode(self, x: Tensor) -> Tensor:
        return x - 1

    def name(self) -> str:
        return "shift"


class Doubled(ModelProxy):
    routed = ("decode",)

    def call(self, function: Callable[..., Any], *tensors: Tensor, **named: Tensor) -> Any:
        return 2 * super().call(function, *tensors, **named)


def test_calls_and_routed_methods_pass_through_call() -> None:
    proxy, x = Doubled(Shift()), torch.tensor([3.0])
    assert proxy(x).item() == 8
    assert proxy.decode(x).item() == 4
    assert proxy.decode(x=x).item() == 4


def test_other_attributes_are_those_of_the_net() -> None:
    proxy = Doubled(Shift())
    assert (proxy.pixel_std, proxy.name()) == ((0.5,), "shift")
    with pytest.raises(AttributeError, match="encode"):
        _ = proxy.encode


def test_a_proxy_can_be_nested_and_copied() -> None:
    proxy = copy.deepcopy(Doubled(Doubled(Shift())))
    assert proxy(torch.tensor([3.0])).item() == 16
    assert proxy.decode(torch.tensor([3.0])).item() == 8
