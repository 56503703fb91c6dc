"""Copies of nets in double precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from invspec.ops.precise import in_double


class Net(nn.Module):
    """A layer with weights, and one with float and integer buffers."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.linear, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.norm.running_mean = torch.full((4,), 0.1)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.linear(x))


def test_weights_and_buffers_equal_those_of_the_net_in_float64() -> None:
    state = dict(in_double(Net()).state_dict())
    counts = state.pop("norm.num_batches_tracked")
    assert counts.dtype == torch.int64
    assert {tensor.dtype for tensor in state.values()} == {torch.float64}
    assert all(
        torch.equal(tensor.float(), Net().state_dict()[name]) for name, tensor in state.items()
    )
    assert not in_double(Net()).training


def test_the_net_itself_does_not_change() -> None:
    single = Net()
    in_double(single).linear.weight.zero_()
    assert single.linear.weight.dtype == torch.float32
    assert single.linear.weight.requires_grad
    assert single.linear.weight.any()


def test_it_rounds_less_than_the_net() -> None:
    x, single = torch.rand(64, 3), Net().requires_grad_(False)
    assert 0 < (single(x) - in_double(single)(x.double())).abs().max() < 1e-5
