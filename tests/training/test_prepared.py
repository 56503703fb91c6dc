"""Trainings that differ in how they prepare a batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import PrivateAttr
from recipes import linear, points, trained, weights
from torch import nn

from invspec.data import Batch
from invspec.defences.standard import Standard
from invspec.ops.draws import Stream
from invspec.training.loss import StepLoss, cross_entropy
from invspec.training.prepared import PreparedTraining


class Shifted(PreparedTraining):
    """Adds a constant to every image, and keeps the progress of each update."""

    shift: float = 0.0
    _progress: list[float] = PrivateAttr(default_factory=list[float])

    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        self._progress.append(progress)
        return replace(batch, x=batch.x + self.shift)


class Halved(Shifted):
    """Learns from half the loss."""

    def loss(self, net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
        loss = cross_entropy(net, batch, rng)
        return replace(loss, value=loss.value / 2)


def test_without_a_change_it_is_standard_training() -> None:
    settings = {"epochs": 2, "batch_size": 5}
    assert torch.equal(
        weights(trained(Shifted(**settings))), weights(trained(Standard(**settings)))
    )


def test_it_learns_from_the_prepared_images() -> None:
    """At zero weights the gradient is (probs - onehot) x, here with x + 1."""
    model = trained(Shifted(epochs=1, batch_size=10, lr=1, momentum=0, shift=1.0))
    (batch,) = points().batches(10)
    residual = 0.5 - nn.functional.one_hot(batch.y, 2).float()
    expected = -(residual * (batch.x.flatten(1) + 1)).mean(0)
    assert model.get_parameter("1.weight").flatten().tolist() == pytest.approx(expected.tolist())


def test_progress_is_taken_in_the_middle_of_each_update() -> None:
    defence = Shifted(epochs=2, batch_size=5)
    trained(defence)
    assert defence._progress == pytest.approx([0.125, 0.375, 0.625, 0.875])


def test_a_subclass_may_change_the_loss() -> None:
    """Half the loss with twice the learning rate is the same update, without momentum."""
    whole = trained(Shifted(epochs=1, batch_size=5, lr=0.5, momentum=0))
    halved = trained(Halved(epochs=1, batch_size=5, lr=1.0, momentum=0))
    torch.testing.assert_close(weights(halved), weights(whole))
    assert weights(whole).abs().sum() > weights(linear()).abs().sum()
