"""Paths whose steps and confidences are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from invspec.scoring.paths import verify_path


def vertices(*pixels: list[float]) -> Tensor:
    """A path (T, 1, 2, 2) of images given by their pixels."""
    return torch.tensor(pixels).view(-1, 1, 2, 2)


def first_pixel(x: Tensor) -> Tensor:
    """Logits with confidence sigmoid(4 * first pixel) in class 0."""
    z = 4 * x.flatten(1)[:, 0]
    return torch.stack([z, torch.zeros_like(z)], dim=1)


def test_confidence_may_drop_between_vertices_alone() -> None:
    """A net of two classes whose confidence dips in the middle of a segment."""

    class Dip(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            # least where the second pixel is 0.5
            z = 2 - 8 * (0.25 - (x.flatten(1)[:, 1] - 0.5).abs()).clamp_min(0)
            return torch.stack([z, torch.zeros_like(z)], dim=1)

    path = vertices([0.0, 0.0, 0.0, 0.0], [0.0, 0.25, 0.0, 0.0], [0.0, 0.75, 0.0, 0.0])[None]
    source = torch.sigmoid(torch.tensor([2.0]))
    check = verify_path(path, Dip(), torch.tensor([0]), source, 0.05, interior=1)
    assert check.min_margin.item() == pytest.approx(0.05, abs=1e-6)
    assert check.min_margin_between.item() == pytest.approx(0.5 - source.item() + 0.05, abs=1e-6)
    assert (
        verify_path(path, Dip(), torch.tensor([0]), source, 0.05).min_margin_between.item()
        == math.inf
    )


def test_repeated_vertices_are_not_checked_again() -> None:
    """The model sees only vertices that moved, and interior points of their segments."""
    seen = 0

    class Counting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            nonlocal seen
            seen += len(x)
            return first_pixel(x)

    along = vertices(*([0.5, second, 0.0, 0.0] for second in (0.0, 0.1, 0.2)))
    path = torch.cat([along, along[-1:].expand(10, -1, -1, -1)])[None]
    args = (torch.tensor([0]), torch.tensor([0.5]).mul(4).sigmoid(), 0.05)
    check = verify_path(path, Counting(), *args, interior=4)
    assert seen == 3 + 4 * 2
    assert check.max_step.item() == pytest.approx(0.1)
    still = path[:, :1].expand(-1, 5, -1, -1, -1)
    assert verify_path(still, Counting(), *args, interior=2).max_step.item() == 0
