"""Trainings that have a precision, and those that have none."""

from __future__ import annotations

from torch import nn

from invspec.defences.standard import Standard
from invspec.defences.untrained import Untrained
from invspec.kinds import HasPrecision
from invspec.training.precision import InPrecision


def test_every_recipe_has_a_precision_and_the_proxy_that_it_trains() -> None:
    defence, net = Standard(precision="bfloat16"), nn.Flatten()
    assert isinstance(defence, HasPrecision)
    proxy = defence.proxy(net)
    assert isinstance(proxy, InPrecision)
    assert (proxy.net, proxy.low) == (net, True)


def test_a_defence_that_trains_nothing_has_none() -> None:
    assert not isinstance(Untrained(), HasPrecision)
