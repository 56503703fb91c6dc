"""What makes one result worse than another, measure by measure."""

from __future__ import annotations

import pytest
import torch
from columns import filled
from torch import Tensor, nn

from invspec.data import Examples, TensorSplit
from invspec.kinds import Measure
from invspec.measures.accuracy import Accuracy
from invspec.measures.accuracy_gap import AccuracyGap
from invspec.measures.area_under_profile import AreaUnderProfile
from invspec.measures.boundary_distance import (
    BoundaryDistance,
    BoundaryFailures,
    MedianBoundaryDistance,
)
from invspec.measures.fooling_rate import FoolingRate
from invspec.measures.mean_temperature import MeanTemperature
from invspec.measures.top_k_error import TopKError

# results of an image of class 0, the worst first: label, confidence
WRONG_SURE, WRONG_UNSURE, RIGHT_UNSURE, RIGHT_SURE = (1, 0.9), (2, 0.4), (0, 0.5), (0, 0.99)


def results(*found: tuple[int, float], prediction: int = 0) -> Examples:
    """Results of one image of class 0, each as an example; sizes of perturbations fall."""
    n = len(found)
    x = torch.zeros(n, 1, 1, 3)
    lengths = torch.arange(n, 0, -1) / 10
    judged = filled(
        {
            "index": torch.arange(n),
            "y": torch.zeros(n, dtype=torch.int64),
            "prediction": torch.full((n,), prediction),
            "prediction_adv": torch.tensor([label for label, _ in found]),
            "confidence_adv": torch.tensor([confidence for _, confidence in found]),
            "l2": lengths,
        }
    )
    x_adv = x.clone()
    x_adv[:, 0, 0, 0] = lengths
    return Examples(TensorSplit(x, judged.y), judged, {"x_adv": x_adv}, {"norm": "l2"})


def order(measure: Measure, attacked: Examples, model: nn.Module | None = None) -> list[int]:
    """The results, the worst first."""
    damage = measure.damage(model or nn.Identity(), attacked)
    assert damage.shape == (len(attacked.judged.y),)
    return damage.double().argsort(descending=True, stable=True).tolist()


@pytest.mark.parametrize(
    "measure",
    [Accuracy(), Accuracy(clean=True), AccuracyGap(), AreaUnderProfile(share="robust_accuracy")],
)
def test_a_wrong_label_is_worse_than_the_right_one(measure: Measure) -> None:
    found = results(RIGHT_UNSURE, WRONG_UNSURE, RIGHT_SURE, WRONG_SURE)
    assert order(measure, found) == [3, 1, 0, 2]


@pytest.mark.parametrize(
    "measure", [FoolingRate(), FoolingRate(complement=True), AreaUnderProfile()]
)
def test_a_changed_label_is_worse_than_the_same(measure: Measure) -> None:
    found = results(RIGHT_UNSURE, WRONG_UNSURE, RIGHT_SURE, WRONG_SURE, prediction=1)
    # the last one is the clean prediction: wrong, and unchanged
    assert order(measure, found) == [2, 0, 1, 3]


@pytest.mark.parametrize("measure", [BoundaryDistance(), MedianBoundaryDistance(norm="l1")])
def test_the_nearest_image_beyond_the_boundary_is_the_worst(measure: Measure) -> None:
    found = results(WRONG_SURE, WRONG_UNSURE, RIGHT_SURE, WRONG_SURE, RIGHT_UNSURE)
    assert order(measure, found)[:3] == [3, 1, 0]
    assert measure.damage(nn.Identity(), found)[[2, 4]].tolist() == [-torch.inf] * 2


def test_a_failure_is_better_than_an_image_beyond_the_boundary() -> None:
    assert order(BoundaryFailures(), results(RIGHT_SURE, WRONG_SURE, RIGHT_UNSURE)) == [1, 0, 2]


class Rising(nn.Module):
    """Logits 0, t and t / 2 of the three classes, t being the first pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("slopes", torch.tensor([0.0, 1.0, -0.5]))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :1] * self.slopes  # pyright: ignore[reportOperatorIssue]


def test_the_more_guesses_come_first_the_worse() -> None:
    found = results(WRONG_SURE, WRONG_SURE, WRONG_SURE)
    # at 0.1 one logit is larger than the label's, at 0 both are as large, at -0.1 one is
    found.tensors["x_adv"][:, 0, 0, 0] = torch.tensor([0.1, 0.0, -0.1])
    assert order(TopKError(k=2), found, Rising()) == [1, 0, 2]


def test_a_measure_without_a_worst_case_says_so() -> None:
    assert Accuracy.has_worst_case()
    assert not MeanTemperature.has_worst_case()
