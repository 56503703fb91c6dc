"""Spreads of success matrices that are written down."""

import pytest
import torch
from pair_examples import FirstPixels, of_pairs
from shown import shown

from invspec.measures.class_effect import ClassEffect, spread

MODEL = FirstPixels(3)
NONE = float("nan")


def test_the_spread_is_over_targets_where_they_decide() -> None:
    matrix = torch.tensor([[NONE, 1.0, 1.0], [0.0, NONE, 0.0], [0.5, 0.5, NONE]])
    assert spread(matrix, "target") == pytest.approx((1 / 6) ** 0.5)
    means = torch.tensor([0.25, 0.75, 0.5])
    assert spread(matrix, "source") == pytest.approx(means.std(correction=0).item())
    assert spread(matrix, "difference") == pytest.approx(
        (1 / 6) ** 0.5 - means.std(correction=0).item()
    )


def test_a_class_without_pairs_is_left_out() -> None:
    matrix = torch.tensor([[NONE, 1.0, NONE], [0.0, NONE, NONE], [NONE, NONE, NONE]])
    assert spread(matrix, "target") == pytest.approx(0.5)


def test_success_on_a_single_target_shows_in_the_number_and_its_interval() -> None:
    y = torch.tensor([0, 0, 1, 1, 2, 2])
    images = torch.nn.functional.one_hot(y, 4).float().view(6, 1, 2, 2)
    ends = [
        (source, target) for source in range(6) for target in (0, 2, 4) if y[source] != y[target]
    ]
    reached = torch.tensor(
        [images[t].flatten().tolist() if t == 0 else [0.5] * 4 for _, t in ends]
    ).view(-1, 1, 2, 2)
    (row,) = shown(
        ClassEffect(distance="linf", max_distance=0.1).score(
            MODEL, of_pairs(MODEL, images, y, ends, reached)
        )
    )
    targets, sources = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.5, 0.5])
    assert row.value == pytest.approx(
        (targets.std(correction=0) - sources.std(correction=0)).item(), abs=1e-6
    )
    assert row.low <= row.value <= row.high
    assert row.n == 6
