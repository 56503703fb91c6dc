"""Stages and a readout as one bijection, with every number accounted for."""

from __future__ import annotations

import pytest
import torch
from flow_toys import true_log_det
from torch import Tensor, nn

from invspec.flows.bijective_net import BijectiveNet, MappedNet
from invspec.flows.given_logits import TriangularGivenLogits
from invspec.flows.layers import ActNorm, Invertible1x1, Rescale, Squeeze
from invspec.flows.readouts import FirstReadout
from invspec.flows.reversible import Run
from invspec.kinds import Bijective, EndsInMap
from invspec.models.firevnet import FiRevNet

CLASSES = 3


def net_of(*, factor_out: bool = True, stages: int = 3) -> BijectiveNet:
    """Squeezes and matrices on images (1, 8, 8), in float64."""
    channels, side, runs = 1, 8, list[Run]()
    for stage in range(stages):
        channels, side = 4 * channels, side // 2
        runs.append(Run([Squeeze(), Invertible1x1(channels), Rescale(2, stage)], "stored"))
        channels //= 2 if factor_out and stage < stages - 1 else 1
    shape = (channels, side, side)
    net = BijectiveNet(runs, shape, FirstReadout(shape, CLASSES), factor_out)
    return net.double().eval()


def images(n: int = 2) -> Tensor:
    return torch.rand(n, 1, 8, 8, dtype=torch.float64)


@pytest.mark.parametrize("stages", [1, 2, 3])
@pytest.mark.parametrize("factor_out", [True, False])
def test_decode_inverts_encode_and_the_code_has_all_numbers(factor_out: bool, stages: int) -> None:
    net, x = net_of(factor_out=factor_out, stages=stages), images()
    semantic, nuisance = net.encode(x)
    assert (semantic.shape, nuisance.shape) == ((2, CLASSES), (2, 64 - CLASSES))
    assert torch.equal(net(x), semantic)
    torch.testing.assert_close(net.decode(semantic, nuisance), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("factor_out", [True, False])
def test_the_log_determinant_is_that_of_the_jacobian(factor_out: bool) -> None:
    net, x = net_of(factor_out=factor_out), images()

    def code(x: Tensor) -> tuple[Tensor, None]:
        return torch.cat(net.encode(x), dim=1), None

    log_det = net.encode_with_log_det(x)[2]
    torch.testing.assert_close(log_det, true_log_det(code, x), rtol=0, atol=1e-8)


def test_factored_halves_pass_no_later_stage() -> None:
    """Every stage doubles all numbers that pass it, and half of them leave after each."""
    torch.manual_seed(0)
    net = net_of()
    for layer in net.modules():
        if isinstance(layer, Invertible1x1):
            nn.init.eye_(layer.weight)
        if isinstance(layer, Rescale):
            layer.offset = 0
    semantic, nuisance = net.encode(torch.ones(1, 1, 8, 8, dtype=torch.float64))
    code = torch.cat([semantic, nuisance], dim=1).flatten()
    # those that left last come first
    assert code.tolist() == [8.0] * 16 + [4.0] * 16 + [2.0] * 32


def test_a_last_map_changes_the_nuisance_alone_and_is_inverted() -> None:
    plain = net_of()
    net = MappedNet(
        [stage for stage in plain.stages if isinstance(stage, Run)],
        plain.shape,
        FirstReadout(plain.shape, CLASSES),
        plain.factor_out,
        TriangularGivenLogits(CLASSES, 64 - CLASSES).double().eval(),
    )
    x = 1 + 2 * images(200)
    net.fit_last(x.split(50))
    semantic, nuisance, log_det = net.encode_with_log_det(x)
    before, raw, raw_log_det = plain.encode_with_log_det(x)
    assert torch.equal(semantic, before)
    assert not torch.allclose(nuisance, raw)
    assert not torch.allclose(log_det, raw_log_det)
    torch.testing.assert_close(net.decode(semantic, nuisance), x, rtol=0, atol=1e-9)


def test_only_a_net_with_a_last_map_can_fit_it() -> None:
    plain, mapped = (
        FiRevNet(stages=2, blocks=1, width=4, site=(0, 0), nuisance_given_logits=given).build(
            (1, 8, 8), 3
        )
        for given in (False, True)
    )
    assert isinstance(mapped, EndsInMap)
    assert isinstance(plain, Bijective)
    assert not isinstance(plain, EndsInMap)


def test_its_norms_are_initialised_by_the_first_batch_in_train_mode() -> None:
    shape = (4, 4, 4)
    net = BijectiveNet(
        [Run([Squeeze(), ActNorm(4)], "stored")], shape, FirstReadout(shape, 3), True
    )
    x = images(5).float()
    torch.testing.assert_close(
        torch.cat(net.train().encode(x), dim=1).std(), torch.tensor(1.0), rtol=0, atol=0.01
    )
