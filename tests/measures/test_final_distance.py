"""Quantiles of distances that are written down."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pair_examples import FirstPixels, of_pairs

from invspec.data import Examples
from invspec.errors import InvspecError
from invspec.measures.final_distance import FinalDistance
from invspec.scoring.quantiles import quantile_row

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
    rows = LINF.score(MODEL, attacked()).rows
    assert [row.where["quantile"] for row in rows] == [0.25, 0.5, 0.75]
    assert [row.value for row in rows] == pytest.approx(
        np.quantile(FOUND, [0.25, 0.5, 0.75]), rel=1e-6
    )
    assert all(row.n == 3 and row.low <= row.value <= row.high for row in rows)


def test_mean_and_median_are_one_number() -> None:
    score = FinalDistance(distance="linf", statistic="mean").score(MODEL, attacked())
    assert score.rows[0].value == pytest.approx(0.35)
    assert score.tensors["each"].tolist() == pytest.approx([0.15, 0.35, 0.55])
    assert score.tensors["index"].tolist() == [0, 1, 2]
    (median,) = FinalDistance(distance="linf", statistic="median").score(MODEL, attacked()).rows
    assert median.value == pytest.approx(0.35)
    assert median.where == {}


def test_relative_distances_are_1_where_nothing_was_gained() -> None:
    pairs = attacked()
    mean = FinalDistance(distance="linf", statistic="mean", relative=True)
    from_source = 1.0  # linf between source and target: the first two pixels differ by 1
    assert mean.score(MODEL, pairs).rows[0].value == pytest.approx(0.35 / from_source)
    euclidean = FinalDistance(distance="l2", statistic="mean", relative=True)
    assert euclidean.score(MODEL, pairs).rows[0].value == pytest.approx(
        0.35 / (1 + 1 + 0.64) ** 0.5
    )
    still = Examples(
        pairs.clean, pairs.judged, {"x_adv": torch.cat([b.x for b in pairs.clean.batches(4)])}
    )
    assert euclidean.score(MODEL, still).rows[0].value == 1


def test_an_interval_of_a_quantile_is_as_wide_as_its_sources_leave_it() -> None:
    """Of 100 sources with 9 pairs that are all alike, as wide as of 100 pairs; of 900 sources a third of that."""
    draws = torch.from_numpy(np.random.default_rng(0).exponential(size=900))
    copies = quantile_row(
        draws[:100].repeat_interleave(9), torch.arange(100).repeat_interleave(9), 0.5
    )
    hundred = quantile_row(draws[:100], torch.arange(100), 0.5)
    apart = quantile_row(draws, torch.arange(900), 0.5)
    assert copies.high - copies.low == pytest.approx(hundred.high - hundred.low, rel=0.2)
    assert apart.high - apart.low < 0.6 * (copies.high - copies.low)


def test_the_interval_covers_the_median_about_as_often_as_it_says() -> None:
    draws = torch.from_numpy(np.random.default_rng(1).exponential(size=(100, 40)))
    rows = [quantile_row(sample, torch.arange(40), 0.5) for sample in draws]
    assert (
        np.mean([row.low <= np.log(2) <= row.high for row in rows]) > 0.9
    )  # 95 % less two standard errors


def test_a_quantile_of_values_that_are_alike_is_certain() -> None:
    row = quantile_row(torch.zeros(20, dtype=torch.float64), torch.arange(20), 0.25)
    assert (row.value, row.low, row.high) == (0, 0, 0)


def test_where_nobody_is_eligible_there_is_no_distance() -> None:
    pairs = attacked()
    wrong = Examples(
        pairs.clean, {**pairs.judged, "prediction": 1 - pairs.judged["y"]}, pairs.tensors
    )
    with pytest.raises(InvspecError, match="none of 6 pairs is eligible"):
        LINF.score(MODEL, wrong)
    assert FinalDistance().smoke() == FinalDistance(distance="laidlaw_self", eligible="all")
    assert LINF.smoke().score(MODEL, wrong).rows[1].value == pytest.approx(0.35)
