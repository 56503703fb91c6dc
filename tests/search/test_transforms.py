"""The choice among transforms that were tried."""

from __future__ import annotations

import torch

from invspec.search.transforms import worst


def test_those_that_fool_come_before_those_of_larger_loss() -> None:
    loss = torch.tensor([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [0.5, 0.25, 0.0]])
    fooled = torch.tensor([[True, False, True], [False, False, False], [False, True, True]])
    assert worst(loss, fooled).tolist() == [2, 1, 1]
