"""The device of a module, and its weights while they are frozen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from invspec.ops.modules import HostFlags, device_of, frozen


def test_a_module_without_weights_is_on_the_cpu() -> None:
    assert device_of(nn.Flatten()) == torch.device("cpu")
    assert device_of(nn.Linear(2, 1, device="meta")) == torch.device("meta")


def test_a_module_without_weights_is_where_its_buffers_are() -> None:
    assert device_of(nn.BatchNorm1d(2, affine=False, device="meta")) == torch.device("meta")


def test_a_module_without_weights_is_on_the_cpu_whatever_the_default_device() -> None:
    with torch.device("meta"):
        assert device_of(nn.Flatten()).type == "cpu"


def test_frozen_weights_are_unfrozen_after_a_failure_unless_they_were_frozen_before() -> None:
    net = nn.Linear(2, 1)
    net.bias.requires_grad_(False)
    with frozen(net):
        assert not any(weight.requires_grad for weight in net.parameters())
    assert (net.weight.requires_grad, net.bias.requires_grad) == (True, False)
    with pytest.raises(RuntimeError), frozen(net):
        raise RuntimeError
    assert (net.weight.requires_grad, net.bias.requires_grad) == (True, False)


class Flagged(HostFlags):
    host_flags = ("ready",)
    ready: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("ready", torch.tensor(False))


def test_flags_stay_on_the_cpu_when_the_rest_moves() -> None:
    moved = nn.Sequential(Flagged()).to("meta")[0]
    assert moved.weight.is_meta
    assert not moved.ready.is_meta


def test_a_flag_is_part_of_the_state() -> None:
    first, again = Flagged(), Flagged()
    first.ready.fill_(True)
    again.load_state_dict(first.state_dict())
    assert again.ready
