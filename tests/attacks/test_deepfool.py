"""DeepFool: passes, and the exact step on a linear net."""

from __future__ import annotations

import torch
from minimal_norm_toys import attacked, batch_of, label, net

from invspec.attacks.deepfool import DeepFool


def test_deepfool_spends_passes_only_until_an_example_is_fooled() -> None:
    model, batch = net(curved=10), batch_of()
    result = attacked(DeepFool(refine=0, candidates=2), model, batch)
    right = label(model, batch.x) == batch.y
    rounds = (result.forwards[right] - 2) / 2
    assert 1 <= rounds.min() < rounds.max() <= 50
    assert torch.equal(result.backwards[right], (2 * rounds).long())
