"""What keeps logits small: an early end, smoothed labels, a penalty."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from recipes import weights
from torch import nn

from invspec.data import Batch, Journal, TensorSplit
from invspec.defences.bounded_logits import BoundedLogits, separates
from invspec.defences.standard import Standard
from invspec.kinds import Defence
from invspec.ops.draws import Stream

QUICK = {"epochs": 40, "batch_size": 16, "lr": 0.5, "momentum": 0.9}


def data(n: int = 48) -> TensorSplit:
    """Two classes that a line separates, one at -1 and one at 1 in the first pixel."""
    x = torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % 2
    x[:, 0, 0, 0] = 0.2 + 0.6 * y
    return TensorSplit(x, y)


def net() -> nn.Sequential:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))


def trained(defence: Defence, journal: Journal | None = None) -> tuple[nn.Module, int]:
    """The net, and the number of epochs that it was trained for."""
    model = net()
    curves = defence.train(model, data(), Stream("key"), journal or Journal())
    return model, len(curves["loss"])


def longest(model: nn.Module) -> float:
    (batch,) = data().batches(48)
    return model(batch.x).norm(dim=1).mean().item()


def test_without_means_it_is_standard_training() -> None:
    found, _ = trained(BoundedLogits(**QUICK))
    expected, _ = trained(Standard(**QUICK))
    assert torch.equal(weights(found), weights(expected))


def test_training_ends_with_the_first_epoch_that_leaves_no_point_misread() -> None:
    stopped, epochs = trained(BoundedLogits(**QUICK, stop_when_separated=True))
    assert separates(stopped, data())
    assert 1 < epochs < 40
    before, _ = trained(Standard(**{**QUICK, "epochs": epochs - 1}))
    assert not separates(before, data())
    same, _ = trained(Standard(**{**QUICK, "epochs": epochs}))
    assert torch.equal(weights(stopped), weights(same))
    assert longest(stopped) < longest(trained(Standard(**QUICK))[0])


def test_a_training_that_has_ended_does_not_go_on_after_a_resume() -> None:
    class Kept(Journal):
        state = None

        def save(self, state):
            self.state = {**state, "model": {k: v.clone() for k, v in state["model"].items()}}

        def resume(self):
            return self.state

    journal, defence = Kept(), BoundedLogits(**QUICK, stop_when_separated=True)
    stopped, epochs = trained(defence, journal)
    resumed, again = trained(defence, journal)
    assert again == epochs
    assert torch.equal(weights(resumed), weights(stopped))


@pytest.mark.parametrize(
    "means", [{"label_smoothing": 0.2}, {"logit_penalty": 0.1}, {"weight_decay": 0.1}]
)
def test_each_means_keeps_logits_smaller(means: dict[str, float]) -> None:
    bounded, _ = trained(BoundedLogits(**QUICK, **means))
    free, _ = trained(BoundedLogits(**QUICK))
    assert longest(bounded) < 0.7 * longest(free)


def test_the_loss_by_hand() -> None:
    batch = Batch(torch.tensor([[[[3.0, 1.0]]]]), torch.tensor([0]), torch.arange(1))
    found = BoundedLogits(label_smoothing=0.5, logit_penalty=0.1).loss(
        nn.Flatten(), batch, Stream("k")
    )
    log_probs = F.log_softmax(torch.tensor([3.0, 1.0]), dim=0).tolist()
    expected = -0.75 * log_probs[0] - 0.25 * log_probs[1] + 0.1 * 10
    assert found.value.item() == pytest.approx(expected, abs=1e-6)
    assert found.metrics["logit_length"].item() == pytest.approx(math.sqrt(10), abs=1e-6)
