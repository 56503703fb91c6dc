"""Reports of a training to its journal."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from recipes import Recording, linear, points, trained
from torch import nn

from invspec.data import Batch, Journal, TensorSplit
from invspec.defences.standard import Standard
from invspec.errors import InvspecError
from invspec.ops.draws import Stream
from invspec.training.log import Log, correct
from invspec.training.loop import fit
from invspec.training.loss import StepLoss
from invspec.training.recipe import Recipe


def test_slow_updates_are_reported_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("invspec.training.log._SECONDS_BETWEEN_REPORTS", -1)
    journal = Recording()
    trained(Standard(epochs=1, batch_size=4), journal=journal)
    assert [done for done, _, _ in journal.steps] == [1, 2, 3]


def failing(net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
    """Image 7 is not a number."""
    return replace(batch, x=batch.x * math.nan) if 7 in batch.index.tolist() else batch


class Ordered(TensorSplit):
    """Examples that are never shuffled."""

    def batches(self, size, shuffle=None):
        return super().batches(size)


def test_a_loss_that_is_not_finite_names_epoch_and_step() -> None:
    data, recipe = Ordered(points().pixels, points().y), Recipe(epochs=3, batch_size=2)
    with pytest.raises(InvspecError, match="the loss is nan in epoch 1, step 4 of 5") as problem:
        fit(linear(), data, Stream("key"), Journal(), recipe, prepare=failing)
    assert "lower lr" in problem.value.hint


def test_an_epoch_has_the_mean_over_its_updates() -> None:
    log, logits = Log(Journal(), epoch=0, steps=2, total=2), torch.eye(2)
    for loss, y in ((1.0, [0, 0]), (3.0, [0, 1])):
        log.add(StepLoss(torch.tensor(loss), logits), torch.tensor(y))
    assert log.close() == {"loss": 2.0, "accuracy": 0.75}


def test_with_soft_labels_every_class_of_the_largest_probability_is_correct() -> None:
    y = torch.tensor([[0.4, 0.4, 0.2], [0.5, 0.3, 0.2]])
    logits = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    assert correct(logits, y).tolist() == [True, False]
