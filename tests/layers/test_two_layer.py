"""The float64 weights of a two-layer net: its logits, and which ReLUs a step switches."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from invspec.data import Batch
from invspec.kinds import TwoLayer as TwoLayerProtocol
from invspec.layers.two_layer import Weights, flattened
from invspec.models.two_layer import TwoLayer

SHAPE = (1, 2, 3)


def net() -> TwoLayerProtocol:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        built = TwoLayer(hidden=5).build(SHAPE, 3)
    assert isinstance(built, TwoLayerProtocol)
    return built


def images(n: int = 4, seed: int = 0) -> Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


def test_logits_are_those_of_the_net() -> None:
    model, weights = net(), Weights.of(net())
    logits = torch.stack([weights.logits(x) for x in images().double().flatten(1)])
    assert logits.dtype == torch.float64
    assert not logits.requires_grad
    torch.testing.assert_close(logits.float(), model(images()).detach())  # pyright: ignore[reportCallIssue]


def by_hand() -> Weights:
    """Two hidden units, x1 - 1 and 1 - x2."""
    return Weights(
        torch.tensor([[1.0, 0.0], [0.0, -1.0]]).double(),
        torch.tensor([-1.0, 1.0]).double(),
        torch.ones(1, 2).double(),
        torch.zeros(1).double(),
    )


def test_a_relu_flips_where_its_input_changes_sign() -> None:
    weights = by_hand()
    x = torch.tensor([0.5, 0.5]).double()
    for step, flips in (
        ([0.0, 0.0], [False, False]),
        ([1.0, 0.0], [True, False]),
        ([0.0, 1.0], [False, True]),
        ([1.0, 1.0], [True, True]),
        ([0.4, 0.4], [False, False]),
    ):
        assert weights.flips(x, torch.tensor(step).double()).tolist() == flips


def test_a_sign_that_rounding_changed_is_no_flip() -> None:
    weights = by_hand()
    x = torch.tensor([0.5, 0.5]).double()
    to_kink = torch.tensor([0.5 + 1e-14, 0.0], dtype=torch.float64)
    beyond = torch.tensor([0.5 + 1e-10, 0.0], dtype=torch.float64)
    assert weights.flips(x, to_kink).tolist() == [False, False]
    assert weights.flips(x, beyond).tolist() == [True, False]


def test_pairs_are_flattened_in_float64() -> None:
    batch = Batch(images(), torch.zeros(4), torch.arange(4))
    x, x_target = flattened(replace(batch, x_target=images(seed=1)))
    assert x.dtype == x_target.dtype == torch.float64
    assert torch.equal(x, images().view(4, 6).double())
    assert torch.equal(x_target, images(seed=1).view(4, 6).double())
