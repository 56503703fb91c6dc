from typing import Any

import pytest
import torch
from outputs import fresh

from invspec.kinds import Bijective
from invspec.models.fully_connected_firevnet import FullyConnectedFiRevNet


def test_sketches_implement_bijective() -> None:
    assert isinstance(FullyConnectedFiRevNet().sketch((1, 1, 100), 2), Bijective)


def test_vectors_that_are_too_short_are_refused() -> None:
    with pytest.raises(
        ValueError, match="needs at least 2 numbers per image for 2 classes, found 1"
    ):
        FullyConnectedFiRevNet().sketch((1, 1, 1), 2)


@pytest.mark.parametrize("length", [100, 7])
def test_vectors_of_any_length_and_range_are_inverted(length: int) -> None:
    x = 10 * torch.randn(4, 1, 1, length)
    net: Any = fresh(FullyConnectedFiRevNet(hidden=8), (1, 1, length), 2).double()
    assert (net.decode(*net.encode(x.double())) - x).abs().max() < 1e-9
    assert net.encode_with_log_det(x.double())[2].equal(torch.zeros(4, dtype=torch.float64))
    assert net(x.double()).shape == (4, 2)


def test_couplings_change_the_halves_in_turn_and_return_them_to_their_place() -> None:
    net: Any = fresh(FullyConnectedFiRevNet(hidden=8), (1, 1, 6), 2)
    x = torch.randn(2, 1, 1, 6)
    with torch.no_grad():
        for weight in net.parameters():
            weight.zero_()
    assert torch.cat(net.encode(x), dim=1).equal(x.flatten(1))
    couplings = net.stages[0].layers[1::2]
    assert [len(coupling.net) for coupling in couplings] == [5] * 4
    couplings[3].net[-1].bias.data.fill_(1.0)
    assert (torch.cat(net.encode(x), dim=1) - x.flatten(1)).mean(0).tolist() == pytest.approx(
        [1, 1, 1, 0, 0, 0]
    )
