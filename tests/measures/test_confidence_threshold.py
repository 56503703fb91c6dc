"""Thresholded errors that one can count: ten judged images and ten that fix the threshold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from columns import filled
from pydantic import ValidationError
from shown import index, outcomes, shown
from torch import nn

from invspec.analysis.intervals import wilson
from invspec.data import Examples, Scored, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.confidence_threshold import (
    FalsePositiveRate,
    FalseRejectionRate,
    RejectionThreshold,
    RobustError,
    Thresholded,
    ThresholdedError,
    TruePositiveRate,
)
from invspec.registry.methods import make

R, W = True, False  # right and wrong answers
#                 image 0    1    2    3    4    5    6    7    8    9
CLEAN_RIGHT = [R, R, R, R, R, R, W, W, R, R]
CLEAN = [0.9, 0.9, 0.8, 0.8, 0.5, 0.5, 0.9, 0.5, 0.7, 0.9]
ADV_RIGHT = [R, W, W, W, W, R, W, R, W, R]
ADV = [0.9, 0.7, 0.6, 0.4, 0.7, 0.7, 0.5, 0.9, 0.3, 0.2]
# validation: two are wrong, of the others the least confident has 0.6
VALID_RIGHT = [R, R, W, R, R, R, R, R, W, R]
VALID = [0.9, 0.6, 0.1, 0.7, 0.8, 0.95, 0.75, 0.65, 0.99, 0.85]


def examples(
    right: list[bool], confidence: list[float], index: list[int], clean: bool = False
) -> Examples:
    """An attack's columns, or those of clean images; right answers are class 0."""
    n = len(index)
    answers = {
        "prediction": torch.tensor([0 if one else 1 for one in right]),
        "confidence": torch.tensor(confidence),
    }
    judged = {
        "index": torch.tensor(index),
        "y": torch.zeros(n, dtype=torch.int64),
        **answers,
        **{f"{name}_adv": column for name, column in answers.items()},
        "linf": torch.full((n,), 0.0 if clean else 0.1),
    }
    return Examples(
        TensorSplit(torch.zeros(n, 1, 1, 1), judged["y"], index=judged["index"]), filled(judged), {}
    )


IDENTITY = examples(CLEAN_RIGHT + VALID_RIGHT, CLEAN + VALID, list(range(20)), clean=True)
ATTACK = examples(ADV_RIGHT, ADV, list(range(10)))


def score(*of: Examples, measure: type[Thresholded] = RobustError, **fields: Any) -> Scored:
    return measure(**{"validation": 0.5, **fields}).score(nn.Identity(), *of)


def value(*of: Examples, **fields: Any) -> tuple[float, int]:
    (row,) = shown(score(*of, **fields))
    return row.value, row.n


def test_tau_is_the_least_confidence_of_the_correct_validation_images() -> None:
    """floor(8 * 0.01) = 0; to accept three quarters, floor(8 * 0.25) = 2."""
    assert value(IDENTITY, measure=RejectionThreshold) == pytest.approx((0.6, 8))
    assert value(IDENTITY, measure=RejectionThreshold, tpr=0.75) == pytest.approx((0.7, 8))


def test_the_error_is_among_accepted_clean_images() -> None:
    """At 0.6 accepted: 0 1 2 3 6 8 9, of which 6 is wrong."""
    assert value(IDENTITY, measure=ThresholdedError) == pytest.approx((1 / 7, 7))
    assert value(IDENTITY, ATTACK, measure=ThresholdedError) == pytest.approx((1 / 7, 7))


def test_the_true_positive_rate_is_among_correct_clean_images() -> None:
    """0 1 2 3 4 5 8 9 are right; 4 and 5 are rejected."""
    assert value(IDENTITY, measure=TruePositiveRate) == pytest.approx((6 / 8, 8))


def test_robust_error_counts_an_image_once_whichever_answer_is_wrong() -> None:
    """All are accepted, 4, 5 and 7 attacked. Wrong and accepted: 1, 2 and 4 attacked, 6 clean."""
    assert value(IDENTITY, ATTACK) == pytest.approx((4 / 10, 10))


def test_robust_error_at_a_higher_threshold() -> None:
    """At 0.75 accepted: 0 1 2 3 6 9 clean, 7 attacked, but rightly; wrong: 6."""
    assert value(IDENTITY, ATTACK, threshold=0.75) == pytest.approx((1 / 7, 7))


def test_the_false_positive_rate_is_among_all_and_needs_a_right_clean_answer() -> None:
    """1, 2 and 4, the last of which was rejected clean."""
    assert value(IDENTITY, ATTACK, measure=FalsePositiveRate) == pytest.approx((3 / 10, 10))


def test_at_threshold_0_they_are_the_ordinary_rates() -> None:
    """Right before and after: 0, 5 and 9; right before only: 1 2 3 4 8."""
    assert value(IDENTITY, ATTACK, threshold=0) == pytest.approx((1 - 3 / 10, 10))
    assert value(IDENTITY, ATTACK, threshold=0, measure=FalsePositiveRate) == pytest.approx(
        (5 / 10, 10)
    )
    assert value(IDENTITY, threshold=0, measure=TruePositiveRate) == (1, 8)


def test_identity_alone_has_its_error_as_robust_error() -> None:
    assert value(IDENTITY) == value(IDENTITY, measure=ThresholdedError)


def test_a_single_attack_is_clean_images_and_attempt_at_once() -> None:
    whole = examples(ADV_RIGHT + VALID_RIGHT, ADV + VALID, list(range(20)))
    judged = {
        **vars(whole.judged),
        **{name: getattr(IDENTITY.judged, name) for name in ("prediction", "confidence")},
    }
    assert value(Examples(whole.clean, filled(judged), {})) == value(IDENTITY, ATTACK)


def test_the_most_confident_wrong_attempt_counts() -> None:
    """0 is fooled twice, once below the threshold; 5 is fooled below it, and right above it."""
    first, second = (
        examples([right], [confidence], [index])
        for right, confidence, index in ((W, 0.3, 0), (W, 0.65, 0))
    )
    for of in ((first, second), (second, first)):
        assert value(IDENTITY, *of, measure=FalsePositiveRate) == pytest.approx((1, 1))
    weak, sure = examples([W], [0.3], [5]), examples([R], [0.95], [5])
    for of in ((weak, sure), (sure, weak)):  # neither answer to 5 is then accepted
        assert score(IDENTITY, *of).rows[0].outcomes is None


def test_the_least_confident_attempt_counts_if_all_are_right() -> None:
    low, high = examples([R], [0.2], [4]), examples([R], [0.95], [4])
    for of in ((low, high), (high, low)):
        assert score(IDENTITY, *of).rows[0].outcomes is None
    assert value(IDENTITY, high) == (0, 1)


def test_images_are_matched_by_their_index_and_validation_images_left_out() -> None:
    order = [7, 3, 1, 15, 4, 12]
    attacked = examples(
        [([*ADV_RIGHT] + [W] * 10)[i] for i in order],
        [([*ADV] + [0.99] * 10)[i] for i in order],
        order,
    )
    found = score(IDENTITY, attacked)
    assert index(found).tolist() == [1, 3, 4, 7]
    assert outcomes(found).tolist() == [1, 0, 1, 0]
    err = score(IDENTITY, attacked, measure=ThresholdedError)
    assert index(err).tolist() == [0, 1, 2, 3, 6, 8, 9]  # clean images are all there


def test_if_nothing_is_accepted_the_value_is_0_and_its_interval_everything() -> None:
    for measure in (RobustError, ThresholdedError):
        found = score(IDENTITY, ATTACK, measure=measure, threshold=0.97)
        (row,) = shown(found)
        assert (row.value, row.n, row.low, row.high) == (0, 10, 0, 1)
        assert found.rows[0].outcomes is None
    assert value(IDENTITY, ATTACK, measure=FalsePositiveRate, threshold=0.97) == (0, 10)


def test_a_threshold_that_is_set_needs_no_validation_images() -> None:
    assert value(IDENTITY, measure=ThresholdedError, threshold=0, validation=0) == pytest.approx(
        (4 / 20, 20)
    )
    assert value(IDENTITY, measure=RejectionThreshold, threshold=0.5)[0] == 0.5
    with pytest.raises(InvspecError, match="none of 0 validation images"):
        score(IDENTITY, validation=0)


def test_false_rejections_are_among_images_that_stay_right() -> None:
    """Images 0, 5 and 9 stay right, with confidences 0.9, 0.7 and 0.2; tau is 0.6."""
    assert value(IDENTITY, ATTACK, measure=FalseRejectionRate) == pytest.approx((1 / 3, 3))
    assert value(IDENTITY, ATTACK, measure=FalseRejectionRate, threshold=0.95)[0] == 1
    assert value(IDENTITY, ATTACK, measure=FalseRejectionRate, threshold=0)[0] == 0


def many(n: int, seed: int) -> tuple[Examples, Examples]:
    rng = np.random.default_rng(seed)
    right, confidence = (rng.random(n) < 0.9).tolist(), rng.beta(8, 1, n).tolist()
    adv_right, adv = (rng.random(n) < 0.6).tolist(), rng.beta(4, 1, n).tolist()
    index = list(range(n))
    return examples(right, confidence, index, clean=True), examples(adv_right, adv, index)


def test_the_interval_of_a_share_at_a_given_threshold_is_like_wilsons() -> None:
    found = score(*many(400, 0), measure=FalsePositiveRate, threshold=0.5, validation=0)
    (row,) = shown(found)
    assert (row.low, row.high) == pytest.approx(wilson(row.value, 400), abs=0.01)
    assert outcomes(found).mean().item() == pytest.approx(row.value)


def test_the_interval_includes_the_estimation_of_the_threshold() -> None:
    of = many(1000, 0)
    (free,) = shown(score(*of, validation=0.1, tpr=0.9))
    tau = value(of[0], measure=RejectionThreshold, validation=0.1, tpr=0.9)[0]
    (given,) = shown(score(*of, validation=0.1, threshold=tau))
    assert free.value == given.value
    assert free.high - free.low > 1.1 * (given.high - given.low)


def test_the_first_of_several_attacks_must_have_clean_images() -> None:
    with pytest.raises(InvspecError, match=r"first attack has moved images.*\n.*of: \[identity"):
        score(ATTACK, IDENTITY)


def test_a_threshold_needs_a_correct_validation_image() -> None:
    wrong = examples(CLEAN_RIGHT + [W] * 10, CLEAN + VALID, list(range(20)), clean=True)
    with pytest.raises(InvspecError, match="none of 10 validation images is classified correctly"):
        score(wrong, ATTACK)
    assert RobustError().smoke().threshold == 0


def test_an_attack_on_validation_images_alone_leaves_nothing_to_judge() -> None:
    with pytest.raises(InvspecError, match="no image is left to judge"):
        score(IDENTITY, examples([W], [0.9], [15]))


def test_attacks_on_pairs_are_refused() -> None:
    pairs = Examples(
        ATTACK.clean, filled({**vars(ATTACK.judged), "source": ATTACK.judged.index}), {}
    )
    with pytest.raises(InvspecError, match="thresholds are for single images"):
        score(IDENTITY, pairs)


def test_the_defaults_are_the_published_protocol() -> None:
    made = make("measure", "robust_error", {})
    assert (made.tpr, made.validation, made.threshold) == (0.99, 0.1, None)
    assert made == make("measure", "confidence_threshold", {})
    with pytest.raises(ValidationError):
        RobustError(threshold=1.5)


def test_attacks_on_images_that_were_transformed_otherwise_are_refused() -> None:
    turned, alike = (
        replace(one, settings={"before": {"class": "attack:FixedRotation"}})
        for one in (ATTACK, IDENTITY)
    )
    with pytest.raises(InvspecError, match="transformed in different ways") as problem:
        score(IDENTITY, turned)
    assert "equal `before`" in problem.value.hint
    assert value(alike, turned) == value(IDENTITY, ATTACK)
