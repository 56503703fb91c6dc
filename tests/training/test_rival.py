"""The rival of independence cross-entropy: what it learns, and the model's losses against it."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invspec.ops.draws import Stream
from invspec.training.rival import NuisanceObjective, Rival, nuisance_loss, rival_net

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, -1.0]])
Y = torch.tensor([0, 0, 1])
P_TRUE = [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(3)), 1 / (1 + math.exp(2))]


def loss(objective: NuisanceObjective, logits: Tensor = LOGITS) -> Tensor:
    return nuisance_loss(objective, logits, Y, Stream("key"))


def linear_rival(diagonal: float = 0.0, lr: float = 0.5) -> Rival:
    net = nn.Linear(2, 2)
    with torch.no_grad():
        net.weight.copy_(diagonal * torch.eye(2))
        net.bias.zero_()
    return Rival(net, torch.optim.SGD(net.parameters(), lr=lr))


def test_raw_is_the_log_probability_of_the_label() -> None:
    assert loss("raw").item() == pytest.approx(sum(map(math.log, P_TRUE)) / 3)


def test_clamped_stops_at_chance_for_each_example() -> None:
    expected = (math.log(P_TRUE[0]) + 2 * math.log(0.5)) / 3
    assert loss("clamped").item() == pytest.approx(expected)


def test_clamped_gains_nothing_once_the_rival_is_worse_than_chance() -> None:
    logits = LOGITS.clone().requires_grad_()
    loss("clamped", logits).backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().min() > 0
    assert logits.grad[1:].abs().max() == 0


def test_uniform_kl_is_the_divergence_from_uniform() -> None:
    uniform = torch.full((3, 2), 0.5)
    expected = F.kl_div(LOGITS.log_softmax(1), uniform, reduction="batchmean")
    assert loss("uniform_kl").item() == pytest.approx(expected.item())
    assert loss("uniform_kl", torch.zeros(3, 2)).item() == pytest.approx(0, abs=1e-7)


def test_shuffled_labels_are_those_of_other_examples() -> None:
    y = Y[Stream("key").permutation(3)]
    assert loss("shuffled_labels").item() == pytest.approx(F.cross_entropy(LOGITS, y).item())


def test_an_update_of_the_rival_by_hand() -> None:
    rival = linear_rival()
    rival.learn(torch.tensor([[1.0, 2.0], [3.0, -4.0]]), torch.tensor([0, 1]), steps=1)
    # at zero weights the gradient is (probs - onehot) z, probs - onehot = (-1/2, 1/2), (1/2, -1/2)
    assert rival.net.get_parameter("weight").tolist() == [[-0.25, 0.75], [0.25, -0.75]]
    assert rival.net.get_parameter("bias").tolist() == [0, 0]


def test_judging_gives_a_gradient_to_the_nuisance_but_not_to_the_rival() -> None:
    rival, nuisance = linear_rival(1.0), torch.randn(3, 2, requires_grad=True)
    rival.learn(nuisance.detach(), Y, steps=2)
    assert nuisance.grad is None
    rival.optimiser.zero_grad()
    rival.judge(nuisance).sum().backward()
    assert nuisance.grad is not None
    assert nuisance.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in rival.net.parameters())


def test_the_models_optimiser_has_no_weights_of_the_rival() -> None:
    assert list(linear_rival().parameters()) == []


def test_a_state_restores_net_and_optimiser() -> None:
    rivals: list[Rival] = []
    for _ in range(2):
        net = nn.Linear(2, 2)
        rivals.append(Rival(net, torch.optim.Adam(net.parameters(), lr=0.1)))
    first, second = rivals
    z = torch.randn(3, 2)
    first.learn(z, Y, 3)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for rival in rivals:
        rival.learn(z, Y, 2)  # depends on Adam's moments and count
    assert torch.equal(first.net.get_parameter("weight"), second.net.get_parameter("weight"))


@pytest.mark.parametrize("hidden", [(512, 512), (8,), ()])
def test_the_net_has_its_hidden_layers(hidden: tuple[int, ...]) -> None:
    net = rival_net((14, *hidden, 10), standardised=False, dropout=0.0)
    shapes = [tuple(weight.shape) for weight in net.parameters()][::2]
    assert shapes == list(zip((*hidden, 10), (14, *hidden), strict=True))


def test_standardisation_and_dropout_are_layers() -> None:
    net = rival_net((14, 8, 10), standardised=True, dropout=0.5)
    kinds = [nn.BatchNorm1d, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert [type(layer) for layer in net] == kinds
