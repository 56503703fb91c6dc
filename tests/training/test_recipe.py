"""Settings of a training: its examples, optimiser, learning rate and gradient."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from recipes import linear, points
from torch import nn

from invspec.training import recipe
from invspec.training.recipe import Recipe


def weight_of(value: float = 1.0) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value]))


def test_the_first_examples_are_selected_or_all() -> None:
    assert Recipe(examples=3).selected(points(10)).index.tolist() == [0, 1, 2]
    assert len(Recipe(examples=30).selected(points(10))) == 10
    assert Recipe().selected(points(10)).index.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamax", torch.optim.Adamax)],
)
def test_an_optimiser_has_the_settings_of_the_recipe(name: Any, kind: type) -> None:
    chosen = Recipe(optimiser=name, lr=0.25, momentum=0.5, weight_decay=0.125)
    optimiser = chosen.new_optimiser([weight_of()])
    assert type(optimiser) is kind
    (group,) = optimiser.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.25, 0.125)
    assert group.get("momentum", 0.5) == 0.5
    assert group.get("betas", (0.9, 0.999)) == (0.9, 0.999)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamax"])
def test_updates_on_a_cpu_are_not_fused(name: Any) -> None:
    (group,) = Recipe(optimiser=name).new_optimiser([weight_of()]).param_groups
    assert not group.get("fused")


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_updates_on_a_gpu_are_fused(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "have_fused_updates", lambda weights: True)
    (group,) = Recipe(optimiser=name).new_optimiser(iter([weight_of()])).param_groups
    assert group["fused"] is True


class OnCard:
    is_cuda = True


def test_updates_are_fused_if_all_weights_are_on_a_gpu() -> None:
    here: Any = OnCard()
    assert recipe.have_fused_updates([here, here])
    assert not recipe.have_fused_updates([here, weight_of()])


def updated(optimiser: torch.optim.Optimizer, weights: list[nn.Parameter]) -> list[nn.Parameter]:
    """The weights after five updates."""
    for step in range(5):
        for i, weight in enumerate(weights):
            weight.grad = torch.full_like(weight, 1.0 + i + step)
        optimiser.step()
    return weights


@pytest.mark.parametrize("name", ["sgd", "adam", "adamax"])
def test_fused_updates_are_the_same_up_to_rounding(
    name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: list[list[nn.Parameter]] = []
    for fused in (False, True):
        monkeypatch.setattr(recipe, "have_fused_updates", lambda _, fused=fused: fused)
        weights = [weight_of(), weight_of(2.0)]
        chosen = Recipe(optimiser=name, lr=0.1, weight_decay=0.01)
        results.append(updated(chosen.new_optimiser(weights), weights))
    for expected, weight in zip(*results, strict=True):
        # a few roundings of float32
        torch.testing.assert_close(weight, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_fused_optimiser_continues_from_its_state(
    name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "have_fused_updates", lambda weights: True)
    chosen = Recipe(optimiser=name, lr=0.1)
    weights = [weight_of()]
    optimiser = chosen.new_optimiser(weights)
    updated(optimiser, weights)
    resumed = [nn.Parameter(weight.detach().clone()) for weight in weights]
    other = chosen.new_optimiser(resumed)
    other.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    assert torch.equal(updated(other, resumed)[0], updated(optimiser, weights)[0])


def test_another_learning_rate_may_be_given() -> None:
    (group,) = Recipe(lr=0.25).new_optimiser([weight_of()], lr=0.5).param_groups
    assert group["lr"] == 0.5


@pytest.mark.parametrize("name", ["sgd", "adam", "adamax"])
def test_weight_decay_is_added_to_the_gradient(name: Any) -> None:
    """The update with decay d at weight w equals the one with the gradient g + d w."""
    updated: list[float] = []
    for decay, gradient in ((0.5, 1.0), (0.0, 2.0)):
        weight = weight_of(2.0)
        optimiser = Recipe(optimiser=name, weight_decay=decay).new_optimiser([weight])
        weight.grad = torch.tensor([gradient])
        optimiser.step()
        updated.append(weight.item())
    assert updated[0] == updated[1] != 2.0


def test_momentum_accumulates_gradients() -> None:
    weight = weight_of(0.0)
    optimiser = Recipe(lr=1, momentum=0.5).new_optimiser([weight])
    positions: list[float] = []
    for _ in range(3):
        weight.grad = torch.tensor([1.0])
        optimiser.step()
        positions.append(weight.item())
    assert positions == [-1.0, -2.5, -4.25]


def test_the_learning_rate_of_an_update_is_set_for_all_groups() -> None:
    recipe = Recipe(lr=0.5, schedule="cosine")
    optimiser = recipe.new_optimiser([weight_of()])
    optimiser.add_param_group({"params": [weight_of()], "lr": 9.0})
    recipe.set_learning_rate(optimiser, 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.25, 0.25])


def test_a_long_gradient_is_rescaled_as_one_vector_and_a_short_one_is_left() -> None:
    weights = [weight_of(), weight_of()]
    for limit, expected in ((None, [3.0, 4.0]), (10, [3.0, 4.0]), (1, [0.6, 0.8])):
        for weight, gradient in zip(weights, (3.0, 4.0), strict=True):
            weight.grad = torch.tensor([gradient])
        Recipe(max_gradient_norm=limit).clip_gradient(weights)
        assert [weight.grad.item() for weight in weights] == pytest.approx(expected, rel=1e-5)


def test_a_weight_without_a_gradient_is_passed_over() -> None:
    model = linear()
    bias = model.get_parameter("1.bias")
    bias.grad = torch.tensor([3.0, 4.0])
    Recipe(max_gradient_norm=1).clip_gradient(model.parameters())
    assert bias.grad.tolist() == pytest.approx([0.6, 0.8], rel=1e-5)
