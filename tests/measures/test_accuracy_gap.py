"""The accuracy that is lost, on examples that one can count."""

from __future__ import annotations

import pytest
import torch
from columns import filled
from scipy.stats import multinomial
from shown import Shown, index, outcomes, shown
from torch import Tensor, nn

from invspec.data import Examples, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.accuracy import Accuracy
from invspec.measures.accuracy_gap import AccuracyGap
from invspec.registry.methods import make
from invspec.scoring.rows import mean


def number(values: Tensor) -> Shown:
    (found,) = shown([mean(values, torch.arange(len(values)), within=(-1.0, 1.0))])
    return found


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


def test_the_interval_is_agrestis_and_mins() -> None:
    """53 lost, 16 gained of 100: the centre 37 / 102, its variance (70 / 102 - (37 / 102) ** 2) / 102."""
    row = number(torch.tensor([1] * 53 + [-1] * 16 + [0] * 31))
    half = 1.959964 * ((70 / 102 - (37 / 102) ** 2) / 102) ** 0.5
    assert (row.low, row.value, row.high) == pytest.approx(
        (37 / 102 - half, 0.37, 37 / 102 + half), abs=1e-6
    )


@pytest.mark.parametrize("outcome", [-1, 0, 1])
def test_a_few_equal_outcomes_are_no_certainty(outcome: int) -> None:
    row = number(torch.full((4,), outcome))
    assert row.value == outcome
    assert -1 <= row.low <= row.value <= row.high <= 1
    assert row.high - row.low > 0.3


@pytest.mark.parametrize(("up", "down"), [(0.15, 0.05), (0.1, 0.1), (0.02, 0.02), (0.5, 0.1)])
def test_the_interval_covers_the_gap_nearly_as_often_as_it_says(up: float, down: float) -> None:
    """Exactly, over all outcomes of 30 examples: 95 %, less what discreteness costs so small a sample."""
    n, covered = 30, 0.0
    for ups in range(n + 1):
        for downs in range(n + 1 - ups):
            row = number(torch.tensor([1] * ups + [-1] * downs + [0] * (n - ups - downs)))
            if row.low <= up - down <= row.high:
                covered += float(
                    multinomial.pmf([ups, downs, n - ups - downs], n, [up, down, 1 - up - down])
                )
    assert covered > 0.93


def test_no_examples_have_no_gap() -> None:
    with pytest.raises(InvspecError, match="no examples"):
        number(torch.zeros(0))


def test_agreement_is_clean_accuracy_under_human_labels() -> None:
    assert make("measure", "agreement", {}) == Accuracy(clean=True)
