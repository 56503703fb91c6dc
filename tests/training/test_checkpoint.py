"""A restored checkpoint trains on as if it had not been interrupted."""

from __future__ import annotations

import copy
from io import BytesIO
from typing import Any

import torch
from torch import nn

from invspec.ops.draws import Stream
from invspec.training.checkpoint import Checkpoint


def fresh(seed: int) -> Checkpoint:
    torch.manual_seed(seed)
    model, auxiliary = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), nn.Linear(2, 1)
    weights = [*model.parameters(), *auxiliary.parameters()]
    return Checkpoint(
        model, auxiliary, torch.optim.Adam(weights, lr=0.1 + seed), Stream(f"key {seed}")
    )


def train(checkpoint: Checkpoint, steps: int = 3) -> None:
    """Steps that depend on weights, running statistics, moments and draws."""
    assert isinstance(checkpoint.auxiliary, nn.Module)
    losses: list[float] = []
    for _ in range(steps):
        x = checkpoint.rng.normal((4, 3))
        loss = checkpoint.auxiliary(checkpoint.model(x)).square().mean()
        checkpoint.optimiser.zero_grad()
        loss.backward()
        checkpoint.optimiser.step()
        losses.append(loss.item())
    checkpoint.history.append({"loss": losses[-1], "accuracy": 0.5})


def saved(checkpoint: Checkpoint) -> dict[str, Any]:
    """The state after a round trip through a file, which may hold no code."""
    file = BytesIO()
    torch.save(checkpoint.state(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_training_goes_on_from_a_restored_state_as_without_interruption() -> None:
    first, second = fresh(0), fresh(1)
    train(first)
    second.restore(saved(first))
    for checkpoint in (first, second):
        train(checkpoint)
    assert second.history == first.history
    torch.testing.assert_close(second.model.state_dict(), first.model.state_dict(), rtol=0, atol=0)
    assert torch.equal(second.rng.uniform((3,)), first.rng.uniform((3,)))


def test_without_a_state_nothing_is_restored() -> None:
    checkpoint = fresh(0)
    train(checkpoint)
    before = copy.deepcopy(checkpoint.state())
    checkpoint.restore(None)
    torch.testing.assert_close(checkpoint.model.state_dict(), before["model"], rtol=0, atol=0)
    assert checkpoint.history == before["history"]


def test_restoring_replaces_the_history_in_place() -> None:
    first, second = fresh(0), fresh(1)
    train(first)
    train(second)
    train(second)
    history = second.history
    second.restore(saved(first))
    assert second.history is history
    assert history == first.history


def test_curves_are_the_columns_of_the_history() -> None:
    checkpoint = fresh(0)
    checkpoint.history += [{"loss": 2.0, "accuracy": 0.5}, {"loss": 1.0, "accuracy": 0.75}]
    assert checkpoint.curves == {"loss": [2.0, 1.0], "accuracy": [0.5, 0.75]}
