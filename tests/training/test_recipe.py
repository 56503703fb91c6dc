"""Settings of a training: its examples, optimiser, learning rate and gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from recipes import linear, points
from torch import nn

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
    recipe = Recipe(optimiser=name, lr=0.25, momentum=0.5, weight_decay=0.125)
    optimiser = recipe.new_optimiser([weight_of()])
    assert type(optimiser) is kind
    (group,) = optimiser.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.25, 0.125)
    assert group.get("momentum", 0.5) == 0.5
    assert group.get("betas", (0.9, 0.999)) == (0.9, 0.999)


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
