"""Total variation at the end of walks whose images are written down."""

import pytest
import torch
from pair_examples import FirstPixels, of_pairs
from shown import index, outcomes, shown

from invspec.measures.final_total_variation import FinalTotalVariation

MODEL = FirstPixels(2)


def attacked():
    """Two sources with two targets each; the targets are black, but for one white pixel."""
    images = torch.zeros(4, 1, 2, 2)
    images[:2, 0, 0, 0] = 1
    images[2:, 0, 0, 1] = 1
    x_adv = images[[2, 3, 2, 3]].clone()
    x_adv[1] += 0.5  # the same everywhere: no variation of the difference
    x_adv[2] = 0
    x_adv[3, 0, 1, 1] = 0.5
    ends = [(0, 2), (0, 3), (1, 2), (1, 3)]
    return of_pairs(MODEL, images, torch.tensor([0, 0, 1, 1]), ends, x_adv)


def test_it_is_that_of_what_is_left_to_the_target():
    score = FinalTotalVariation().score(MODEL, attacked())
    (row,) = shown(score)
    # a single pixel of height h varies by 2 h, among 4 pixels
    assert row.value == pytest.approx((0 + 0 + 2 / 4 + 1 / 4) / 4)
    assert outcomes(score).tolist() == pytest.approx([0, (2 / 4 + 1 / 4) / 2])
    assert index(score).tolist() == [0, 1]


def test_it_can_be_that_of_the_image():
    (row,) = shown(FinalTotalVariation(subject="image").score(MODEL, attacked()))
    # the last: 1 beside 0 and 1/2, 1/2 beside 0
    assert row.value == pytest.approx((2 / 4 + 2 / 4 + 0 + (1 + 0.5 + 0.5) / 4) / 4)


def test_pairs_of_misclassified_sources_count_if_all_do():
    one = attacked()
    wrong = of_pairs(
        MODEL,
        one.clean.images.pixels,
        torch.tensor([1, 0, 1, 1]),
        [(0, 2), (1, 2)],
        one.x_adv[[3, 2]],
    )
    only, every = (
        shown(FinalTotalVariation(eligible=which).score(MODEL, wrong))[0].value
        for which in ("correct", "all")
    )
    assert only == pytest.approx(2 / 4)
    # of the first, half of a pixel is left
    assert every == pytest.approx((2 / 4 + 1 / 4) / 2)
