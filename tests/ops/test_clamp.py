"""The clamp whose gradient leads back into the box."""

from __future__ import annotations

import torch

from invspec.ops.clamp import clamped


def gradient(x: list[float], slope: list[float]) -> list[float]:
    leaf = torch.tensor(x, requires_grad=True)
    (clamped(leaf, (0.0, 1.0)) * torch.tensor(slope)).sum().backward()
    assert leaf.grad is not None
    return leaf.grad.tolist()


def test_values_are_those_of_the_clamp() -> None:
    x = torch.linspace(-1, 2, 31)
    assert clamped(x, (0.0, 1.0)).equal(x.clamp(0, 1))


def test_inside_the_box_the_gradient_is_that_of_the_identity() -> None:
    assert gradient([0.5, 0.25], [3.0, -3.0]) == [3.0, -3.0]


def test_at_and_beyond_a_bound_only_what_leads_inwards_is_left() -> None:
    for low in (0.0, -0.5):
        # a descent moves against the gradient
        assert gradient([low, low], [1.0, -1.0]) == [0.0, -1.0]
    for high in (1.0, 1.5):
        assert gradient([high, high], [1.0, -1.0]) == [1.0, 0.0]


def test_a_descent_returns_to_the_box_where_the_clamp_of_torch_does_not() -> None:
    # at the bound itself, torch 2.4 has a gradient and later versions have none
    for clamp, end in ((lambda x: clamped(x, (0.0, 1.0)), 0.7), (lambda x: x.clamp(0, 1), -0.1)):
        x = torch.tensor(-0.1, requires_grad=True)
        optimiser = torch.optim.SGD([x], lr=0.1)
        for _ in range(100):
            optimiser.zero_grad()
            (clamp(x) - 0.7).square().backward()
            optimiser.step()
        assert abs(x.item() - end) < 1e-4


def test_infinite_bounds_clamp_nothing() -> None:
    x = torch.tensor([-9.0, 9.0], requires_grad=True)
    clamped(x, (-torch.inf, torch.inf)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 1.0]
