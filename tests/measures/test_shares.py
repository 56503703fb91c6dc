"""Accuracy and fooling rate, on four examples that one can count."""

import pytest
import torch
from columns import filled
from shown import index, outcomes, shown
from torch import nn

from invspec.data import Examples, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.accuracy import Accuracy
from invspec.measures.fooling_rate import FoolingRate
from invspec.registry.methods import make


def judged(y, prediction, prediction_adv):
    columns = {
        "y": y,
        "prediction": prediction,
        "prediction_adv": prediction_adv,
        "index": range(10, 10 + len(y)),
    }
    clean = TensorSplit(torch.zeros(len(y), 1, 1, 1), torch.tensor(y))
    return Examples(
        clean, filled({name: torch.tensor(list(column)) for name, column in columns.items()}), {}
    )


# right, kept · right, lost · wrong, kept · wrong, made right · wrong, otherwise wrong
FIVE = judged(y=[0, 1, 2, 0, 1], prediction=[0, 1, 0, 1, 0], prediction_adv=[0, 0, 0, 0, 2])


def value(measure, examples=FIVE):
    (row,) = shown(measure.score(nn.Identity(), examples))
    return row.value


def test_accuracy_counts_what_is_right_after_the_attack():
    assert value(Accuracy()) == pytest.approx(2 / 5)


def test_clean_accuracy_counts_what_is_right_before_it():
    assert value(Accuracy(clean=True)) == pytest.approx(2 / 5)
    assert outcomes(Accuracy(clean=True).score(nn.Identity(), FIVE)).tolist() == [
        1,
        1,
        0,
        0,
        0,
    ]


def test_the_fooling_rate_counts_changed_predictions_right_or_wrong():
    assert value(FoolingRate()) == pytest.approx(3 / 5)


def test_the_rate_of_invariance_is_its_complement():
    assert value(FoolingRate(complement=True)) == pytest.approx(2 / 5)
    assert make("measure", "rate_of_invariance", {}) == FoolingRate(complement=True)


def test_among_correct_keeps_the_index_of_correct_examples():
    score = FoolingRate(among="correct").score(nn.Identity(), FIVE)
    assert (shown(score)[0].value, shown(score)[0].n) == (0.5, 2)
    assert index(score).tolist() == [10, 11]


def test_among_correct_is_refused_without_correct_examples():
    with pytest.raises(InvspecError, match="examples is classified correctly"):
        FoolingRate(among="correct").score(nn.Identity(), judged([0], [1], [1]))


def test_robust_accuracy_is_accuracy():
    assert make("measure", "robust_accuracy", {}) == make("measure", "accuracy", {}) == Accuracy()
