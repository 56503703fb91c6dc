"""Changed predictions, of all examples or of those classified correctly."""

import pytest
from counted_examples import FIVE, judged, value
from shown import index, shown
from torch import nn

from invspec.errors import InvspecError
from invspec.measures.fooling_rate import FoolingRate
from invspec.registry.methods import make


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
