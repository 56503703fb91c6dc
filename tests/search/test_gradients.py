"""Input gradients of linear models, and the classes other than the label."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from invspec.errors import InvspecError
from invspec.ops.losses import cross_entropy
from invspec.search.gradients import (
    input_gradient,
    lead_of,
    likeliest_others,
    logits_and_gradient,
    logits_of,
)

CLASSES, PIXELS = 4, 6


def linear() -> nn.Sequential:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, CLASSES))


X = torch.rand(5, 1, 2, 3, generator=torch.Generator().manual_seed(1))
Y = torch.tensor([0, 1, 2, 3, 0])
GRADIENTS: list[Any] = [
    input_gradient,
    lambda *arguments: logits_and_gradient(*arguments)[1],
]


@pytest.mark.parametrize("gradient_of", GRADIENTS, ids=["alone", "with logits"])
def test_the_gradient_of_the_cross_entropy_is_that_of_the_closed_form(gradient_of: Any) -> None:
    model = linear()
    weight = model.get_parameter("1.weight")
    onehot = nn.functional.one_hot(Y, CLASSES)
    expected = (model(X).softmax(1) - onehot) @ weight
    gradient = gradient_of(model, cross_entropy, X, Y)
    torch.testing.assert_close(gradient.flatten(1), expected.detach())


@pytest.mark.parametrize("gradient_of", GRADIENTS, ids=["alone", "with logits"])
def test_an_examples_gradient_does_not_depend_on_its_batch(gradient_of: Any) -> None:
    model = linear()
    together = gradient_of(model, cross_entropy, X, Y)
    alone = torch.cat(
        [gradient_of(model, cross_entropy, X[i : i + 1], Y[i : i + 1]) for i in range(5)]
    )
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("gradient_of", GRADIENTS, ids=["alone", "with logits"])
def test_a_gradient_is_taken_without_gradients_around_and_leaves_weights_and_images_alone(
    gradient_of: Any,
) -> None:
    model, x = linear(), X.clone()
    with torch.no_grad():
        gradient = gradient_of(model, cross_entropy, x, Y)
    assert gradient.abs().sum() > 0
    assert not gradient.requires_grad
    assert not x.requires_grad
    assert all(weight.grad is None for weight in model.parameters())


def test_logits_have_no_graph() -> None:
    model = linear()
    assert torch.equal(logits_of(model, X), model(X))
    assert not logits_of(model, X).requires_grad
    logits, _ = logits_and_gradient(model, cross_entropy, X, Y)
    assert torch.equal(logits, model(X))
    assert not logits.requires_grad


def test_the_lead_of_a_target_has_the_difference_of_weights_as_gradient() -> None:
    model, target = linear(), (Y + 1) % CLASSES
    weight = model.get_parameter("1.weight").detach()
    logits = logits_of(model, X)
    expected = [
        (row[other] - row[label]).item()
        for row, other, label in zip(logits, target, Y, strict=True)
    ]
    assert lead_of(target)(logits, Y).tolist() == expected
    gradient = input_gradient(model, lead_of(target), X, Y)
    torch.testing.assert_close(gradient.flatten(1), weight[target] - weight[Y])


def by_sorting(logits: Tensor, y: Tensor, count: int) -> list[list[int]]:
    """The largest others by Python's stable sort."""
    rows: list[list[int]] = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        others = [k for k in range(len(row)) if k != label]
        rows.append(sorted(others, key=lambda k: -row[k])[:count])
    return rows


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_the_likeliest_others_are_ranked_without_the_label(count: int) -> None:
    # whole numbers, so that some are equal
    logits = torch.randint(0, 3, (50, CLASSES), generator=torch.Generator().manual_seed(0)).float()
    y = torch.arange(50) % CLASSES
    assert likeliest_others(logits, y, count).tolist() == by_sorting(logits, y, count)


@pytest.mark.parametrize("of", [input_gradient, logits_and_gradient])
def test_a_net_that_cuts_the_graph_is_told_of(of: Any) -> None:
    class Detached(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.detach().flatten(1)[:, :CLASSES]

    x, y = torch.rand(2, 1, 1, PIXELS), torch.tensor([0, 1])
    with pytest.raises(InvspecError, match="autograd finds no way from them to the logits"):
        of(Detached(), cross_entropy, x, y)
