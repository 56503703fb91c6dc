"""What runs another library's attack: passes are counted, and warnings suppressed."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from invspec.search.foreign import Counting, quiet


def test_passes_are_counted_by_example() -> None:
    net = Counting(nn.Linear(3, 2))
    x = torch.rand(4, 3, requires_grad=True)
    net(x).sum().backward()
    with torch.no_grad():
        net(x[:1])
    assert (net.forwards, net.backwards) == (5, 4)


def test_the_wrapped_net_keeps_its_mode() -> None:
    net = nn.Linear(3, 2).train()
    assert not Counting(net).training
    assert net.training


def test_warnings_are_suppressed() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("of the library's own code", stacklevel=1)
        assert caught == []
        warnings.warn("of other code", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["of other code"]
