"""Rows of examples and of pairs, whose means are written as means over sources."""

from __future__ import annotations

import pytest
import torch

from invspec.errors import InvspecError
from invspec.scoring.rows import by_source, mean, mean_of_pairs, share, share_of_pairs


def test_means_by_source_are_weighted_means_over_pairs() -> None:
    values, weights = torch.tensor([1.0, 0.0, 4.0]), torch.tensor([1.0, 3.0, 4.0])
    outcomes, index = by_source(values, torch.tensor([7, 7, 2]), weights)
    mean = (1 * 1 + 4 * 4) / 8
    assert index.tolist() == [2, 7]
    assert outcomes.mean().item() == pytest.approx(mean)
    assert outcomes.tolist() == pytest.approx(
        [mean + 2 * (4 / 8) * (4 - mean), mean + 2 * (1 * (1 - mean) - 3 * mean) / 8]
    )


@pytest.mark.parametrize("row", [share, mean])
def test_an_example_that_occurs_twice_is_refused(row) -> None:
    with pytest.raises(InvspecError, match="an outcome for each example, found 2 more") as caught:
        row(torch.tensor([True, False, True, True]), torch.tensor([3, 3, 4, 3]))
    assert "share_of_pairs" in caught.value.hint


def test_pairs_may_share_a_source() -> None:
    source = torch.tensor([3, 3, 4, 3])
    for row in (share_of_pairs, mean_of_pairs):
        outcomes = row(torch.tensor([1.0, 0.0, 1.0, 1.0]), source).outcomes
        assert outcomes.values.mean().item() == pytest.approx(0.75)
        assert outcomes.index.tolist() == [3, 4]
