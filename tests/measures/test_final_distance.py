"""Quantiles of distances that are written down."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from columns import filled
from pair_examples import FirstPixels, of_pairs
from shown import index, outcomes, shown

from invspec.data import Examples
from invspec.errors import InvspecError
from invspec.measures.final_distance import FinalDistance, MeanFinalDistance

FOUND = [
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
]  # final distances of pairs, two a source; from source to target it is 0.8
MODEL = FirstPixels(2)


def attacked() -> Examples:
    images = torch.zeros(5, 1, 2, 2)
    images[:3, 0, 0, 0] = 1
    images[3:, 0, 0, 1] = 1
    images[:3, 0, 1, 1] = 0.8
    ends = [(source, target) for source in range(3) for target in (3, 4)]
    x_adv = images[torch.tensor(ends)[:, 1]].clone()
    x_adv[:, 0, 1, 0] = torch.tensor(FOUND)
    return of_pairs(MODEL, images, torch.tensor([0, 0, 0, 1, 1]), ends, x_adv)


LINF = FinalDistance(distance="linf")


def test_quantiles_are_rows_of_their_own() -> None:
    rows = shown(LINF.score(MODEL, attacked()))
    assert [row.where["quantile"] for row in rows] == [0.25, 0.5, 0.75]
    assert [row.value for row in rows] == pytest.approx(
        np.quantile(FOUND, [0.25, 0.5, 0.75]), rel=1e-6
    )
    assert all(row.n == 3 and row.low <= row.value <= row.high for row in rows)


def test_the_mean_and_the_median_agree_with_those_of_three_pairs() -> None:
    score = MeanFinalDistance(distance="linf").score(MODEL, attacked())
    assert shown(score)[0].value == pytest.approx(0.35)
    assert outcomes(score).tolist() == pytest.approx([0.15, 0.35, 0.55])
    assert index(score).tolist() == [0, 1, 2]
    (median,) = shown(FinalDistance(distance="linf", quantiles=(0.5,)).score(MODEL, attacked()))
    assert median.value == pytest.approx(0.35)
    assert median.where == {"quantile": 0.5}


def test_a_relative_distance_is_1_if_nothing_was_gained() -> None:
    pairs = attacked()
    mean = MeanFinalDistance(distance="linf", relative=True)
    from_source = 1.0  # linf between source and target: the first two pixels differ by 1
    assert shown(mean.score(MODEL, pairs))[0].value == pytest.approx(0.35 / from_source)
    euclidean = MeanFinalDistance(distance="l2", relative=True)
    assert shown(euclidean.score(MODEL, pairs))[0].value == pytest.approx(
        0.35 / (1 + 1 + 0.64) ** 0.5
    )
    still = Examples(
        pairs.clean, pairs.judged, {"x_adv": torch.cat([b.x for b in pairs.clean.batches(4)])}
    )
    assert shown(euclidean.score(MODEL, still))[0].value == 1


def test_it_is_refused_where_no_pair_is_eligible() -> None:
    pairs = attacked()
    wrong = Examples(
        pairs.clean, filled({**vars(pairs.judged), "prediction": 1 - pairs.judged.y}), pairs.tensors
    )
    with pytest.raises(InvspecError, match="none of 6 pairs is eligible"):
        LINF.score(MODEL, wrong)
    assert FinalDistance().smoke() == FinalDistance(distance="laidlaw_self", eligible="all")
    assert shown(LINF.smoke().score(MODEL, wrong))[1].value == pytest.approx(0.35)
