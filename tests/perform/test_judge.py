"""Attacked images are judged in plain order of memory, whatever the order that an attack made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.perform.judge import judge
from invspec.perform.promises import Subject

X = torch.rand(5, 1, 6, 6, generator=torch.Generator().manual_seed(0))


class Recording(nn.Module):
    """A linear net that remembers the strides of its images."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.strides = nn.Linear(36, 3), list[tuple[int, ...]]()

    def forward(self, x: Tensor) -> Tensor:
        self.strides.append(x.stride())
        return self.linear(x.flatten(1))


@pytest.mark.parametrize(
    "order",
    [
        lambda x: x.clone(memory_format=torch.channels_last),
        lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
        lambda x: x.mean((1, 2, 3), keepdim=True).expand_as(x),
    ],
    ids=["channels last", "columns first", "expanded"],
)
def test_the_net_sees_images_in_plain_order(order: Callable[[Tensor], Tensor]) -> None:
    net, batch = Recording(), Batch(X, torch.zeros(5, dtype=torch.int64), torch.arange(5))
    x_adv = order(X)
    assert x_adv.stride() != X.stride()
    perturbed = Perturbed.costing(x_adv, forwards=0, backwards=0)
    columns = judge(net, batch, perturbed, Subject("net", "data", 3))
    assert set(net.strides) == {X.stride()}
    assert columns["x_adv"].stride() == X.stride()
    assert torch.equal(columns["x_adv"], x_adv)
