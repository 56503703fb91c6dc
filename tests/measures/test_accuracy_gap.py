"""The accuracy that is lost, on examples that one can count."""

from __future__ import annotations

import pytest
import torch
from columns import filled
from shown import index, outcomes, shown
from torch import nn

from invspec.data import Examples, TensorSplit
from invspec.measures.accuracy import Accuracy
from invspec.measures.accuracy_gap import AccuracyGap
from invspec.registry.methods import make


def judged(y: list[int], prediction: list[int], prediction_adv: list[int]) -> Examples:
    columns = {
        "y": y,
        "prediction": prediction,
        "prediction_adv": prediction_adv,
        "index": [*range(10, 10 + len(y))],
    }
    clean = TensorSplit(torch.zeros(len(y), 1, 1, 1), torch.tensor(y))
    return Examples(
        clean, filled({name: torch.tensor(column) for name, column in columns.items()}), {}
    )


#                   lost · kept · gained · wrong twice · lost
FIVE = judged(y=[0, 1, 2, 0, 1], prediction=[0, 1, 0, 1, 1], prediction_adv=[1, 1, 2, 2, 0])


def test_the_gap_is_the_accuracy_before_less_the_accuracy_after() -> None:
    score = AccuracyGap().score(nn.Identity(), FIVE)
    before, after = (
        shown(Accuracy(clean=clean).score(nn.Identity(), FIVE))[0].value for clean in (True, False)
    )
    assert shown(score)[0].value == pytest.approx(before - after) == pytest.approx(0.2)
    assert outcomes(score).tolist() == [1, 0, -1, 0, 1]
    assert index(score).tolist() == [10, 11, 12, 13, 14]


def test_agreement_is_clean_accuracy_under_human_labels() -> None:
    assert make("measure", "agreement", {}) == Accuracy(clean=True)
