"""Independence cross-entropy: its nuisance term, and trainings with and without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from bijections import LinearBijection, orthogonal, told_twice
from torch import nn

from invspec.data import Curves, Journal
from invspec.defences.independence_ce import IndependenceCE
from invspec.defences.standard import Standard
from invspec.kinds import Defence
from invspec.ops.draws import Stream
from invspec.registry.methods import make
from invspec.training.flow import Code
from invspec.training.rival import Rival

Y = torch.tensor([0, 0, 1])
CHEAP: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 16,
    "optimiser": "adam",
    "lr": 0.01,
    "dequantise": False,
    "nuisance_hidden": (8,),
}


def rival(dimensions: int = 2) -> Rival:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = nn.Linear(dimensions, 2)
    return Rival(net, torch.optim.SGD(net.parameters(), lr=0.5))


def code(dimensions: int = 2) -> Code:
    generator = torch.Generator().manual_seed(0)
    semantic = torch.randn(3, 2, generator=generator).requires_grad_()
    nuisance = torch.randn(3, dimensions, generator=generator).requires_grad_()
    return Code(semantic, nuisance, torch.zeros(3))


def trained(defence: Defence) -> tuple[LinearBijection, Curves]:
    model = LinearBijection(orthogonal())
    return model, defence.train(model, told_twice(64), Stream("key"), Journal())


@pytest.mark.parametrize(("per_dim", "weight"), [(False, 0.3), (True, 0.1)])
def test_per_dim_divides_the_weight_by_the_dimensions_of_the_nuisance(
    per_dim: bool, weight: float
) -> None:
    defence = IndependenceCE(nuisance_weight=0.3, per_dim=per_dim)
    term = defence.nuisance_term(rival(3), code(3), Y, Stream("key"))
    assert term.weight == pytest.approx(weight)


def test_the_rival_takes_its_steps_before_the_model_is_judged() -> None:
    defence = IndependenceCE(nuisance_steps=7, nuisance_objective="raw")
    first, second = rival(), rival()
    second.learn(code().nuisance.detach(), Y, 7)
    term = defence.nuisance_term(first, code(), Y, Stream("key"))
    assert torch.equal(first.net.get_parameter("weight"), second.net.get_parameter("weight"))
    loss = F.cross_entropy(second.net(code().nuisance), Y).item()
    assert term.value.item() == pytest.approx(-loss)
    assert term.metrics["nuisance_loss"].item() == pytest.approx(loss)


def test_the_nuisance_term_has_a_gradient_to_the_nuisance_alone() -> None:
    batch = code()
    IndependenceCE().nuisance_term(rival(), batch, Y, Stream("key")).value.backward()
    assert batch.nuisance.grad is not None
    assert batch.semantic.grad is None


def test_without_weights_it_is_standard_training_update_for_update() -> None:
    common = {**CHEAP, "max_gradient_norm": 100, "crop": 1}
    bare = IndependenceCE(**common, nuisance_weight=0, mle_weight=0)
    common.pop("nuisance_hidden")
    (ours, curves), (standard, expected) = trained(bare), trained(Standard(**common))
    assert torch.equal(ours.weight, standard.weight)
    assert [curves[name] for name in expected] == list(expected.values())


def test_there_is_a_curve_for_each_term() -> None:
    _, curves = trained(IndependenceCE(**CHEAP))
    metrics = ["cross_entropy", "bits_per_dimension", "nuisance_loss", "nuisance_accuracy"]
    assert list(curves) == ["loss", "accuracy", *metrics]
    assert all(len(numbers) == 2 for numbers in curves.values())


@pytest.mark.parametrize(
    "option", [{"nuisance_standardised": True}, {"nuisance_dropout": 0.5}, {"per_dim": True}]
)
def test_each_option_of_the_rival_changes_the_weights(option: dict[str, Any]) -> None:
    plain, other = (trained(IndependenceCE(**CHEAP, **fields))[0] for fields in ({}, option))
    assert not torch.equal(plain.weight, other.weight)


def test_the_default_rival_has_two_hidden_layers_of_512() -> None:
    defence = make("defence", "independence_ce", {})
    assert isinstance(defence, IndependenceCE)
    wide = Code(torch.zeros(1, 10), torch.zeros(1, 1014), torch.zeros(1))
    net = defence.fresh_rival(wide, Stream("key")).net
    shapes = [tuple(weight.shape) for weight in net.parameters()][::2]
    assert shapes == [(512, 1014), (512, 512), (10, 512)]
