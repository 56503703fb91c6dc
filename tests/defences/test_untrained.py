"""A net that is not trained, from its training to its score."""

from __future__ import annotations

from pathlib import Path

import pytest
from shown import shown
from torch import Tensor, nn
from workbench import FAKE, Memory, perturb, score, train

from invspec.attacks.identity import Identity
from invspec.data import Journal
from invspec.defences.untrained import Untrained
from invspec.execution.store import Store
from invspec.kinds import Model
from invspec.models.linear import Linear
from invspec.ops.draws import Stream
from invspec.ops.types import Shape
from invspec.perform.train import fresh


def test_no_weight_changes_and_there_are_no_curves() -> None:
    net, data = Linear().build((1, 4, 4), 3), FAKE.load("train")
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    assert Untrained().train(net, data, Stream("key"), Journal()) == {}
    assert all(weight.equal(before[name]) for name, weight in net.state_dict().items())


def test_its_artifact_is_the_net_as_it_was_built() -> None:
    task = train(defence=Untrained())
    weights = Memory().load(task).tensors
    assert all(weight.equal(weights[name]) for name, weight in fresh(task).state_dict().items())


class Brightest(nn.Module):
    """Predicts the brightest row; there is nothing to learn."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((1, 3))[:, :3]


class Rule(Model):
    def build(self, shape: Shape, classes: int) -> nn.Module:
        return Brightest()


def test_a_classifier_without_weights_is_stored_attacked_and_scored(tmp_path: Path) -> None:
    task, store, runtime = train(model=Rule(), defence=Untrained()), Store(tmp_path), Memory()
    store.save(task, runtime.load(task))
    assert store.load(task).tensors == {}
    runtime.kept[task] = store.load(task)
    rows = shown(runtime.load(score(perturb(Identity(), task))).rows or ())
    (batch,) = FAKE.load("test").batches(20)
    expected = (Brightest()(batch.x).argmax(1) == batch.y).float().mean()
    assert [row.value for row in rows] == pytest.approx([expected.item()])
