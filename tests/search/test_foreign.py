"""What runs another library's attack: passes are counted, and warnings suppressed."""

from __future__ import annotations

import warnings

import pytest
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


def test_the_net_keeps_its_mode_whatever_a_library_sets() -> None:
    net = nn.Sequential(nn.Dropout(), nn.Linear(2, 2)).train()
    counting = Counting(net)
    assert counting.eval() is counting
    assert net.training
    assert net[0].training
    assert not counting.training


def test_prints_are_suppressed(capsys: pytest.CaptureFixture[str]) -> None:
    with quiet():
        print("progress")
    assert capsys.readouterr().out == ""
