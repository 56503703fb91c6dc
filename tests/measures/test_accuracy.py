"""Accuracy before and after an attack."""

import pytest
from counted_examples import FIVE, value
from shown import outcomes
from torch import nn

from invspec.measures.accuracy import Accuracy
from invspec.registry.methods import make


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


def test_robust_accuracy_is_accuracy():
    assert make("measure", "robust_accuracy", {}) == make("measure", "accuracy", {}) == Accuracy()
