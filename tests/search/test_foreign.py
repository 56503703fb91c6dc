"""What runs another library's attack: passes are counted, and generators are contained."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from invspec.search.foreign import Counting, all_seeded, quiet


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


def test_all_generators_are_seeded_and_restored_after_a_failure() -> None:
    def draws() -> tuple[float, float, float]:
        return torch.rand(()).item(), random.random(), float(np.random.rand())

    with all_seeded(3):
        expected = draws()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    with all_seeded(3):
        assert draws() == expected
    with pytest.raises(RuntimeError), all_seeded(3):
        raise RuntimeError
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]


def test_warnings_are_suppressed() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("of the library's own code", stacklevel=1)
        assert caught == []
        warnings.warn("of other code", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["of other code"]
