"""The loss of one update."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from invspec.data import Batch
from invspec.ops.draws import Stream
from invspec.training.loss import StepLoss, cross_entropy, with_penalty

LOGITS = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])


def batch(y: Tensor) -> Batch:
    return Batch(LOGITS, y, torch.arange(2))


def test_the_loss_is_the_mean_cross_entropy() -> None:
    """Probabilities of the labels are 3/4 and 1/2."""
    loss = cross_entropy(nn.Identity(), batch(torch.tensor([1, 0])), Stream("key"))
    assert loss.value.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert loss.logits is LOGITS
    assert loss.metrics == {}


def test_labels_may_be_probabilities() -> None:
    soft = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    loss = cross_entropy(nn.Identity(), batch(soft), Stream("key"))
    first = (math.log(4) + math.log(4 / 3)) / 2
    assert loss.value.item() == pytest.approx((first + math.log(2)) / 2)


class Penalised(nn.Module):
    def penalty(self) -> Tensor:
        return torch.tensor(0.25)


def test_a_penalty_is_added_to_the_value_alone() -> None:
    loss = StepLoss(torch.tensor(1.0), LOGITS, {"scale": torch.tensor(2.0)})
    total = with_penalty(loss, Penalised())
    assert total.value.item() == 1.25
    assert total.logits is LOGITS
    assert total.metrics is loss.metrics


def test_a_model_without_penalty_has_the_loss_as_it_is() -> None:
    loss = StepLoss(torch.tensor(1.0), LOGITS)
    assert with_penalty(loss, nn.Identity()) is loss
