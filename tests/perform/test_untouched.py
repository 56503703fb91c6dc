"""A net that its user has changed is noticed, whatever it was that changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from invspec.perform.untouched import Changed, untouched


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).eval().requires_grad_(False)


CHANGES: dict[str, tuple[Callable[[Any], object], str]] = {
    "weight": (lambda net: net[0].weight.add_(1e-3), "0.weight"),
    "weight by its data": (lambda net: net[0].weight.data.mul_(1.001), "0.weight"),
    "weights in opposite ways": (
        lambda net: net[0].weight.data.copy_(net[0].weight.data.flip(0)),
        "0.weight",
    ),
    "sign of a zero": (lambda net: net[0].bias.mul_(-1.0), "0.bias"),
    "statistics": (lambda net: net.train()(torch.rand(8, 3)) is net.eval(), "1.num_batches"),
    "mode": (lambda net: net.train(), "mode of "),
    "mode of a part": (lambda net: net[1].train(), "mode of 1"),
    "requires_grad": (lambda net: net.requires_grad_(), "requires_grad of "),
    "gradient": (
        lambda net: setattr(net[0].weight, "grad", torch.zeros(3, 3)),
        "gradient of 0.weight",
    ),
    "hook": (lambda net: net[0].register_forward_hook(lambda *_: None), "hooks of 0"),
    "layer": (lambda net: net.append(nn.ReLU()), "hooks of 2"),
}


@pytest.mark.parametrize(("change", "name"), CHANGES.values(), ids=CHANGES)
def test_every_kind_of_change_is_noticed(change: Callable[[Any], object], name: str) -> None:
    changed = net()
    with pytest.raises(Changed, match="Mine changed the net") as caught, untouched(changed, "Mine"):
        change(changed)
    assert name in caught.value.message


def test_a_net_that_is_put_back_is_untouched() -> None:
    used = net()
    with untouched(used, "Mine"):
        used(torch.rand(4, 3))
        handle = used[0].register_forward_hook(lambda *_: None)
        used.train().eval()
        handle.remove()
    assert not used.training


def test_what_a_net_itself_changes_may_change() -> None:
    counting: Any = net()
    with untouched(counting, "Mine", may_change={"1.running_mean"}):
        counting[1].running_mean.add_(1)
    assert counting[1].running_mean.eq(1).all()


def test_an_error_of_the_user_is_not_hidden() -> None:
    changed = net()

    def fail() -> None:
        with untouched(changed, "Mine"):
            changed.train()
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
