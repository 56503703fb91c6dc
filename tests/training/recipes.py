"""Small data and nets that the tests of training share."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from invspec.data import Batch, Journal, TensorSplit
from invspec.kinds import Defence
from invspec.ops.draws import Stream


def points(n: int = 10, labels: int = 2) -> TensorSplit:
    """n one-pixel images; image i has label i mod labels."""
    return TensorSplit(torch.arange(n).float().view(n, 1, 1, 1) / n, torch.arange(n) % labels)


def linear(labels: int = 2) -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, labels))
    nn.init.zeros_(model.get_parameter("1.weight"))
    nn.init.zeros_(model.get_parameter("1.bias"))
    return model


def images(n: int = 64) -> Batch:
    x = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.arange(n) % 3, torch.arange(n))


def grey(n: int = 48) -> TensorSplit:
    """Class k is darker than class k + 1."""
    noise = torch.randint(0, 60, (n, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % 3
    return TensorSplit((noise + 60 * y.view(-1, 1, 1, 1)).to(torch.uint8), y)


def convolutional() -> nn.Sequential:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(
            *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2)),
            nn.Linear(144, 3),
        )


def weights(model: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def trained(
    defence: Defence,
    data: TensorSplit | None = None,
    model: nn.Module | None = None,
    journal: Journal | None = None,
) -> nn.Module:
    model = model or linear()
    defence.train(model, data or points(), Stream("key"), journal or Journal())
    return model


class Recording(Journal):
    """Keeps a copy of every state and every report."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []
        self.steps: list[tuple[int, int, dict[str, float]]] = []

    def save(self, state: dict[str, Any]) -> None:
        self.states.append(copy.deepcopy(state))  # the weights in it go on changing

    def step(self, done: int, total: int, **numbers: float) -> None:
        self.steps.append((done, total, numbers))


class Resumed(Journal):
    """Resumes from a state."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def resume(self) -> dict[str, Any]:
        return self.state
