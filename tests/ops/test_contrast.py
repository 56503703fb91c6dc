"""The linear feature of Theorem 1."""

from __future__ import annotations

import pytest
import torch

from invspec.ops.contrast import contrast, signed


@pytest.mark.parametrize("length", range(1, 9))
def test_the_feature_is_the_sum_of_differences_of_pairs(length: int) -> None:
    x = torch.randn(length, generator=torch.Generator().manual_seed(0))
    pairs = [x[place] - x[place + 1] for place in range(1, length - 1, 2)]
    assert contrast(length).shape == (length,)
    assert (contrast(length) @ x).item() == pytest.approx(sum(map(float, pairs)), abs=1e-6)


def test_swapping_all_pairs_negates_the_feature() -> None:
    x = torch.randn(9, generator=torch.Generator().manual_seed(0))
    swapped = torch.cat([x[:1], x[1:].view(-1, 2).flip(1).flatten()])
    assert (contrast(9) @ swapped).item() == pytest.approx(-(contrast(9) @ x).item(), abs=1e-6)


def test_label_1_is_positive_and_all_others_are_negative() -> None:
    assert signed(torch.tensor([0, 1, 2])).tolist() == [-1.0, 1.0, -1.0]
