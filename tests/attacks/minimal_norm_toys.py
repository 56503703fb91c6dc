"""A net, a batch and helpers for the tests of minimum-norm attacks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.ops.draws import PerExample

N, CLASSES = 40, 4


def net(curved: float = 1.0) -> nn.Sequential:
    """Two layers of fixed random weights; `curved` scales the first, and curves the boundaries."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layers = nn.Sequential(nn.Flatten(), nn.Linear(32, 24), nn.Tanh(), nn.Linear(24, CLASSES))
    with torch.no_grad():
        layers.get_parameter("1.weight").mul_(curved)
    return layers.eval().requires_grad_(False)


def batch_of(n: int = N) -> Batch:
    x = 0.25 + 0.5 * torch.rand(n, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    return Batch(x, torch.arange(n) % CLASSES, torch.arange(n))


def attacked(attack: Any, model: nn.Module, batch: Batch) -> Perturbed:
    return attack.perturb(model, batch, PerExample("task", batch.index))


def label(model: nn.Module, x: Tensor) -> Tensor:
    return model(x).argmax(1)
