"""Costs of attacks, from passes that are written down and nets whose operations are known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from measure_toys import examples
from shown import shown
from torch import nn

from invspec.data import GENERATOR_OPERATIONS, Examples
from invspec.measures.attack_cost import MILLION, AttackCost
from invspec.perform.proxies import Padded

# 16 pixels to 3 logits: a multiplication and an addition for each weight, forward and back
PASS = 2 * 16 * 3


def attacked(**columns: torch.Tensor) -> tuple[nn.Module, Examples]:
    """24 examples, half of which took 10 passes forward and 4 back, the others 2 and 0."""
    model, one = examples(0)
    forwards, backwards = torch.tensor([10, 2] * 12), torch.tensor([4, 0] * 12)
    judged = replace(one.judged, forwards=forwards, backwards=backwards)
    return model, replace(one, judged=judged, tensors={**one.tensors, **columns})


def test_passes_are_those_forward_and_back() -> None:
    (row,) = shown(AttackCost(counts="passes").score(*attacked()))
    assert row.value == pytest.approx((14 + 2) / 2)


def test_operations_are_counted_for_each_pass() -> None:
    (row,) = shown(AttackCost().score(*attacked()))
    assert row.value == pytest.approx(PASS * (14 + 2) / 2 / MILLION)


def test_the_passes_of_a_generator_cost_operations() -> None:
    made = torch.full((24,), 5_000_000)
    (row,) = shown(AttackCost().score(*attacked(**{GENERATOR_OPERATIONS: made})))
    assert row.value == pytest.approx(5 + PASS * (14 + 2) / 2 / MILLION)


def test_padding_is_no_cost() -> None:
    model, one = attacked()
    assert shown(AttackCost().score(Padded(model), one)) == shown(AttackCost().score(model, one))


class Constant(nn.Module):
    """Logits without a gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(x), 3)


def test_an_attack_without_gradients_has_a_cost_on_a_net_without_gradients() -> None:
    _, one = attacked()
    forwards_alone = replace(one.judged, backwards=torch.zeros(24, dtype=torch.int64))
    (row,) = shown(AttackCost().score(Constant(), replace(one, judged=forwards_alone)))
    assert row.value == 0
