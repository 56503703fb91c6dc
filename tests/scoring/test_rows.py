"""Weighted means over pairs, written as means over sources."""

from __future__ import annotations

import pytest
import torch

from invspec.scoring.rows import by_source


def test_means_by_source_are_weighted_means_over_pairs() -> None:
    values, weights = torch.tensor([1.0, 0.0, 4.0]), torch.tensor([1.0, 3.0, 4.0])
    outcomes, index = by_source(values, torch.tensor([7, 7, 2]), weights)
    mean = (1 * 1 + 4 * 4) / 8
    assert index.tolist() == [2, 7]
    assert outcomes.mean().item() == pytest.approx(mean)
    assert outcomes.tolist() == pytest.approx(
        [mean + 2 * (4 / 8) * (4 - mean), mean + 2 * (1 * (1 - mean) - 3 * mean) / 8]
    )
