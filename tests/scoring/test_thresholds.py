"""Order statistics that are thresholds, and their replicates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from invspec.scoring.thresholds import Threshold


@pytest.mark.parametrize("n", [1, 7, 99, 100, 101, 1000])
@pytest.mark.parametrize("share", [0.9, 0.95, 0.99, 1.0])
def test_at_least_the_wanted_share_of_validation_images_is_accepted(n: int, share: float) -> None:
    confidences = np.random.default_rng(0).random(n).astype(np.float32)
    tau = Threshold.accepting(share, confidences.astype(float)).value
    accepted = (torch.from_numpy(confidences) >= tau).sum().item()
    assert accepted >= share * n - 1e-9
    # one fewer would be too few
    assert accepted - 1 < share * n


def test_the_threshold_is_at_the_floor_of_a_hundredth() -> None:
    confidences = np.arange(1000) / 1000
    assert [Threshold.accepting(0.99, confidences[:n]).value for n in (99, 100, 250, 1000)] == [
        0.0,
        0.001,
        0.002,
        0.01,
    ]


def test_replicates_of_the_threshold_are_those_of_resampled_images() -> None:
    """Against 4,000 samples with replacement; means agree within five standard errors."""
    confidences, rng = np.random.default_rng(1).random(60), np.random.default_rng(2)
    drawn = np.sort(rng.choice(confidences, (4000, 60)), axis=1)[:, 6]
    tau = Threshold.accepting(0.9, confidences)
    error = drawn.std() * (1 / 4000 + 1 / 2000) ** 0.5
    assert tau.value == np.sort(confidences)[6]
    assert abs(tau.replicates.mean() - drawn.mean()) < 5 * error
    assert tau.replicates.std() == pytest.approx(drawn.std(), rel=0.1)
