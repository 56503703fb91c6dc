"""Top-k error, on four images whose pixels are their logits."""

import pytest
import torch
from columns import filled
from shown import outcomes, shown
from torch import nn

from invspec.data import Examples, TensorSplit
from invspec.measures.top_k_error import TopKError

LOGITS = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 1.0, 0.0]]).view(
    4, 1, 1, 3
)
Y = torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize(("k", "missed"), [(1, [0, 1, 1, 1]), (2, [0, 0, 1, 0]), (3, [0, 0, 0, 0])])
def test_a_label_is_missed_if_k_others_are_as_large(k, missed):
    examples = Examples(
        TensorSplit(torch.zeros(4, 1, 1, 3), Y),
        filled({"index": torch.arange(4)}),
        {"x_adv": LOGITS},
    )
    found = TopKError(k=k).score(nn.Flatten(), examples)
    assert outcomes(found).tolist() == missed
    assert shown(found)[0].value == pytest.approx(sum(missed) / 4)


def test_nan_and_equal_logits_miss():
    logits = torch.tensor([[torch.nan] * 3, [0.0] * 3]).view(2, 1, 1, 3)
    examples = Examples(
        TensorSplit(torch.zeros(2, 1, 1, 3), Y[:2]),
        filled({"index": torch.arange(2)}),
        {"x_adv": logits},
    )
    assert outcomes(TopKError(k=2).score(nn.Flatten(), examples)).tolist() == [1, 1]
