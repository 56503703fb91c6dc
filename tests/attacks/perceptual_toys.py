"""Nets and feature maps for the tests of perceptual attacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from invspec.data import Batch
from invspec.perceptual.attack import FeatureProbe
from invspec.search.search import Search


def net() -> nn.Sequential:
    """A convolutional net that classifies which half of an image is bright."""
    layers = nn.Sequential(nn.Conv2d(1, 2, (4, 8)), nn.ReLU(), nn.Flatten(), nn.Linear(10, 2))
    with torch.no_grad():
        layers.get_parameter("0.weight").copy_(torch.ones(2, 1, 4, 8) / 32)
        layers.get_parameter("0.bias").copy_(torch.tensor([0.0, -0.3]))
        layers.get_parameter("3.weight").copy_(
            4 * torch.tensor([[1.0, 0, 0, 0, -1, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 1, 0, 0, 0, 0, 0]])
        )
        layers.get_parameter("3.bias").zero_()
    return layers.eval().requires_grad_(False)


def halves(n: int = 12) -> Batch:
    """Images (n, 1, 8, 8); class k is bright in half k, some more than others."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 2
    x = 0.4 + 0.1 * torch.rand(n, 1, 8, 8, generator=generator)
    lift = torch.linspace(0.05, 0.3, n).view(-1, 1, 1, 1)
    x[y == 0, :, :4] += lift[y == 0]
    x[y == 1, :, 4:] += lift[y == 1]
    return Batch(x, y, torch.arange(n))


def probe_of(
    model: nn.Module,
    batch: Batch,
    name: Any = "l2",
    features: Callable[[Tensor], Tensor] | None = None,
) -> FeatureProbe:
    """A probe whose features come from a function, or by default from the named distance."""
    probe = FeatureProbe(Search(model, batch), name)
    if features is not None:
        probe.embedding = features
        probe.reference = features(batch.x)
    return probe


def linear_probe(matrix: Tensor, n: int, model: nn.Module | None = None) -> FeatureProbe:
    """A probe with features phi(x) = A x of grey images (n, 1, 2, 2) in the matrix's dtype."""
    x = torch.full((n, 1, 2, 2), 0.5, dtype=matrix.dtype)
    batch = Batch(x, torch.zeros(n, dtype=torch.int64), torch.arange(n))
    return probe_of(model or nn.Flatten(), batch, "l2", lambda images: images.flatten(1) @ matrix.T)
