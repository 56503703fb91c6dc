"""Clean images as the result of an attack."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from invspec.attacks.identity import Identity
from invspec.data import Batch
from invspec.ops.draws import PerExample


class Untouchable(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("the model was called")


def test_images_are_unchanged_and_cost_no_pass() -> None:
    x = 3 * torch.randn(4, 1, 2, 2)
    batch = Batch(x, torch.zeros(4, dtype=torch.int64), torch.arange(4), (0.0, 1.0))
    result = Identity().perturb(Untouchable(), batch, PerExample("task", batch.index))
    # not even clamped to the bounds
    assert torch.equal(result.x_adv, x)
    assert result.forwards.tolist() == result.backwards.tolist() == [0] * 4
    assert result.path is None
