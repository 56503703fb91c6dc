"""Which models meet which protocol."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from invspec.kinds import (
    BATCHED,
    ENCODERS,
    Bijective,
    Centred,
    Model,
    Penalised,
    Standardised,
    TwoLayer,
)
from invspec.kinds.protocols import Bijective as BijectiveProtocol
from invspec.registry.methods import make

PROTOCOLS = (Standardised, Centred, TwoLayer, Penalised, Bijective)


@pytest.mark.parametrize(
    ("name", "fields", "met"),
    [
        ("mlp", {}, set()),
        ("stdcnn", {}, {Standardised, Centred}),
        ("temperature", {}, {Penalised}),
        ("temperature", {"model": {"use": "stdcnn"}}, {Standardised, Penalised}),
        ("two_layer", {}, {TwoLayer}),
        ("firevnet_spheres", {}, {Bijective}),
    ],
)
def test_a_net_meets_the_protocols_whose_members_it_has(
    name: str, fields: dict[str, Any], met: set[type]
) -> None:
    model = make("model", name, fields)
    assert isinstance(model, Model)
    net = model.sketch((1, 28, 28), 3)
    assert {protocol for protocol in PROTOCOLS if isinstance(net, protocol)} == met


def test_a_net_with_some_members_of_a_protocol_does_not_meet_it() -> None:
    class HalfBijective(nn.Module):
        def encode(self) -> None: ...

        def decode(self) -> None: ...

    assert not isinstance(HalfBijective(), Bijective)


def test_the_batched_methods_are_those_of_a_bijective_model() -> None:
    public = {name for name in vars(BijectiveProtocol) if not name.startswith("_")}
    assert set(BATCHED) == public
    assert set(ENCODERS) == public - {"decode"}
