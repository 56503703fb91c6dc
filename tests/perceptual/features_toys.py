"""Images, and nets whose features are compared."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def images(n: int = 6, channels: int = 3, side: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


def convolutional() -> nn.Sequential:
    """Two maps of different shape, then a hidden linear layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            *(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(12 * 49, 16), nn.ReLU(), nn.Linear(16, 4)),
        ).eval()
