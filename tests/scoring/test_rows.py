"""Rows of examples and of pairs, whose means are written as means over sources."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from invspec.data import JudgedPairs
from invspec.errors import InvspecError
from invspec.scoring.rows import (
    by_source,
    mean,
    mean_distance,
    mean_of_pairs,
    quantile,
    share,
    share_of_pairs,
)


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


def judged_pairs(source: list[int], target: list[int]) -> JudgedPairs:
    columns = {column.name: torch.tensor(source) for column in fields(JudgedPairs)}
    return JudgedPairs(**{**columns, "target": torch.tensor(target)})


CROSSED = judged_pairs([1, 1, 2, 2], [7, 8, 7, 8])


def test_the_mean_of_pairs_is_kept_by_source_and_by_target() -> None:
    values = torch.tensor([1.0, 0.0, 0.0, 0.0])
    for row in (mean_of_pairs(values, CROSSED), share_of_pairs(values, CROSSED)):
        assert row.outcomes.values.tolist() == [0.5, 0]
        assert row.outcomes.index.tolist() == [1, 2]
        assert row.outcomes.second.values.tolist() == [0.5, 0]
        assert row.outcomes.second.index.tolist() == [7, 8]


def test_a_quantile_of_pairs_keeps_each_pair_with_its_source_and_target() -> None:
    outcomes = quantile(torch.arange(4.0), CROSSED, 0.5).outcomes
    assert outcomes.index.tolist() == [1, 1, 2, 2]
    assert outcomes.second.index.tolist() == [7, 8, 7, 8]


@pytest.mark.parametrize("target", [[7, 7, 7, 7], [5, 6, 7, 8]])
def test_a_single_target_and_targets_that_never_repeat_add_no_chance(target: list[int]) -> None:
    row = mean_of_pairs(torch.arange(4.0), judged_pairs([1, 1, 2, 2], target))
    assert row.outcomes.second is None


def test_distances_and_quantiles_may_be_infinite_but_not_nan() -> None:
    values, index = torch.tensor([1.0, torch.inf]), torch.arange(2)
    assert mean_distance(values, index).outcomes.values.tolist() == [1, torch.inf]
    assert quantile(values, index, 0.5).outcomes.values.tolist() == [1, torch.inf]
    with pytest.raises(InvspecError, match="1 of 2 outcomes are infinite or NaN"):
        mean_distance(values * torch.tensor([1.0, 0.0]), index)
    with pytest.raises(InvspecError, match="1 of 2 outcomes are infinite or NaN"):
        mean(values, index)
