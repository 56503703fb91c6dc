"""Distances that one can count, on eight examples."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from columns import filled
from shown import index, outcomes, shown
from torch import nn

from invspec.data import Examples, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.boundary_distance import (
    BoundaryDistance,
    BoundaryFailures,
    BoundaryMeasure,
    MedianBoundaryDistance,
)
from invspec.registry.methods import make
from invspec.scoring.perturbations import BATCH_SIZE

#            four found, of sizes 1 to 4 · a failure · three that are wrong from the start
PREDICTION, PREDICTION_ADV = [0, 0, 0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 0, 0, 1, 2]
SIZES = [1.0, 2.0, 3.0, 4.0, 0.0, 9.0, 9.0, 9.0]


def examples(
    settings: dict[str, Any], prediction_adv: list[int] = PREDICTION_ADV, y: int = 0
) -> Examples:
    """Images of four grey pixels, three of which move: one by SIZES[i] / 10, two by half of it."""
    x = torch.full((8, 1, 2, 2), 0.5)
    delta = torch.tensor(SIZES).view(8, 1, 1, 1) / 10 * torch.tensor([[1.0, -0.5], [0.5, 0.0]])
    labels = torch.full((8,), y)
    judged = {
        "index": torch.arange(10, 18),
        "y": labels,
        "prediction": torch.tensor(PREDICTION),
        "prediction_adv": torch.tensor(prediction_adv),
        "linf": delta.flatten(1).abs().amax(1),
        "l2": delta.flatten(1).norm(dim=1),
    }
    clean = TensorSplit(x, labels, index=judged["index"])
    return Examples(clean, filled(judged), {"x_adv": x + delta}, settings)


def value(measure: BoundaryMeasure, attacked: Examples) -> float:
    (row,) = shown(measure.score(nn.Identity(), attacked))
    return row.value


L2 = examples({"norm": "l2"})


@pytest.mark.parametrize(
    ("norm", "unit"), [("linf", 0.1), ("l2", 0.1 * 1.5**0.5), ("l1", 0.2), ("l0", None)]
)
def test_without_failures_the_mean_covers_correct_examples_in_the_attacks_norm(
    norm: Any, unit: float | None
) -> None:
    expected = 3.0 if unit is None else 2.5 * unit
    found = BoundaryDistance(failures="omit")
    assert value(found, examples({"norm": norm})) == pytest.approx(expected, rel=1e-5)
    found = BoundaryDistance(norm=norm, failures="omit")
    assert value(found, L2) == pytest.approx(expected, rel=1e-5)


def test_a_mean_keeps_its_examples_for_pairing() -> None:
    score = BoundaryDistance(norm="linf", failures="omit").score(nn.Identity(), L2)
    assert index(score).tolist() == [10, 11, 12, 13]
    torch.testing.assert_close(outcomes(score), torch.tensor([0.1, 0.2, 0.3, 0.4]))
    (row,) = shown(score)
    assert 0 < row.low < row.value < row.high < 0.5


def test_one_failure_makes_the_mean_infinite() -> None:
    (row,) = shown(BoundaryDistance(norm="linf").score(nn.Identity(), L2))
    assert (row.value, row.low, row.high, row.n) == (math.inf, math.inf, math.inf, 5)


def test_the_median_counts_failures_as_furthest() -> None:
    (row,) = shown(MedianBoundaryDistance(norm="linf").score(nn.Identity(), L2))
    assert (row.value, row.n, row.low) == pytest.approx((0.3, 5, 0.1))
    assert row.high == math.inf


def test_without_failures_the_median_lies_halfway_between_the_middle_two() -> None:
    median = MedianBoundaryDistance(norm="linf", failures="omit")
    (row,) = shown(median.score(nn.Identity(), L2))
    assert (row.value, row.n, row.low, row.high) == pytest.approx((0.25, 4, 0.1, 0.4))


def test_the_median_is_infinite_where_most_attacks_failed() -> None:
    attacked = examples({"norm": "linf"}, [1, 0, 0, 0, 0, 0, 1, 2])
    assert value(MedianBoundaryDistance(), attacked) == math.inf


def test_failures_are_a_share_of_the_correct_ones() -> None:
    score = BoundaryFailures().score(nn.Identity(), L2)
    assert (shown(score)[0].value, shown(score)[0].n) == (0.2, 5)
    assert outcomes(score).tolist() == [0, 0, 0, 0, 1]
    assert index(score).tolist() == [10, 11, 12, 13, 14]


def test_with_all_examples_misclassified_ones_are_at_distance_0() -> None:
    every = BoundaryDistance(among="all", norm="linf", failures="omit")
    assert value(every, L2) == pytest.approx(sum([0.1, 0.2, 0.3, 0.4, 0, 0, 0]) / 7)
    assert value(BoundaryFailures(among="all"), L2) == pytest.approx(1 / 8)
    assert BoundaryDistance().smoke().among == "all"


def test_a_pixel_that_differs_in_the_last_bit_has_not_moved() -> None:
    attacked = examples({})
    nudged = torch.nextafter(attacked.x_adv, torch.tensor(2.0))
    one_bit_off = Examples(attacked.clean, attacked.judged, {"x_adv": nudged}, {})
    assert value(BoundaryDistance(norm="l0", failures="omit"), one_bit_off) == 3


def test_images_are_read_in_batches_and_in_their_order() -> None:
    n = BATCH_SIZE + 3
    delta = torch.arange(n) / n
    judged = {
        "index": torch.arange(n),
        "y": torch.zeros(n),
        "prediction": torch.zeros(n),
        "prediction_adv": torch.ones(n),
    }
    x = torch.zeros(n, 1, 1, 1)
    attacked = Examples(
        TensorSplit(x, judged["y"]),
        filled(judged),
        {"x_adv": x + delta.view(-1, 1, 1, 1)},
        {"norm": "l1"},
    )
    each = outcomes(BoundaryDistance().score(nn.Identity(), attacked))
    torch.testing.assert_close(each, delta, rtol=0, atol=2e-6)


@pytest.mark.parametrize("measure", [BoundaryDistance, MedianBoundaryDistance, BoundaryFailures])
def test_it_is_refused_where_no_example_is_correct(measure: type[BoundaryMeasure]) -> None:
    with pytest.raises(InvspecError, match="examples is classified correctly"):
        measure().score(nn.Identity(), examples({"norm": "l2"}, y=5))


@pytest.mark.parametrize("measure", [BoundaryDistance, MedianBoundaryDistance])
def test_without_adversarial_images_only_failures_can_be_measured(
    measure: type[BoundaryMeasure],
) -> None:
    nothing = examples({"norm": "l2"}, PREDICTION)
    with pytest.raises(InvspecError, match="any of 5 correctly classified examples"):
        measure().score(nn.Identity(), nothing)
    assert value(BoundaryFailures(), nothing) == 1


def test_an_attack_without_a_norm_needs_one_from_the_measure() -> None:
    with pytest.raises(InvspecError, match=r"no norm.*\n.*linf, l2, l1, l0"):
        BoundaryDistance().score(nn.Identity(), examples({"max_degrees": 30}))
    assert make("measure", "boundary_distance", {"norm": "l0"}) == BoundaryDistance(norm="l0")
