"""Spreads of success matrices that are written down."""

import pytest
import torch
from pair_examples import FirstPixels, of_pairs
from shown import shown

from invspec.errors import InvspecError
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


def of_targets(reached: set[int], effect: str = "image_difference"):
    """Four sources of class 2 and targets 4 to 7, two of class 0 and two of class 1."""
    y = torch.tensor([2, 2, 2, 2, 0, 0, 1, 1])
    images = torch.nn.functional.one_hot(y, 4).float().view(8, 1, 2, 2)
    ends = [(source, target) for source in range(4) for target in range(4, 8)]
    final = torch.stack(
        [images[t] if t in reached else torch.full((1, 2, 2), 0.5) for _, t in ends]
    )
    (row,) = shown(
        ClassEffect(distance="linf", max_distance=0.1, effect=effect).score(
            MODEL, of_pairs(MODEL, images, y, ends, final)
        )
    )
    return row


def test_a_single_easy_target_of_each_class_is_an_effect_of_the_image_alone() -> None:
    """Both classes have rates 0 and 1, so their means are equal, and each deviates by 1/2."""
    assert of_targets({4, 6}, "target_image").value == 0.5
    assert of_targets({4, 6}, "target").value == 0
    assert of_targets({4, 6}).value == 0.5


def test_a_class_of_easy_targets_is_an_effect_of_the_class_alone() -> None:
    assert of_targets({4, 5}, "target_image").value == 0
    assert of_targets({4, 5}, "target").value == 0.5
    assert of_targets({4, 5}).value == -0.5


def test_the_chance_of_sources_is_no_effect_of_the_image() -> None:
    """Every pair succeeds by chance, with probability 1/2: the targets are all alike."""
    generator = torch.Generator().manual_seed(0)
    sources, targets = 40, 20
    y = torch.tensor([2] * sources + [0] * targets)
    images = torch.nn.functional.one_hot(y, 4).float().view(-1, 1, 2, 2)
    ends = [(s, t) for s in range(sources) for t in range(sources, sources + targets)]
    lucky = torch.rand(len(ends), generator=generator) < 0.5
    final = torch.where(
        lucky.view(-1, 1, 1, 1), images[[t for _, t in ends]], torch.full((1, 1, 2, 2), 0.5)
    )
    (row,) = shown(
        ClassEffect(distance="linf", max_distance=0.1, effect="target_image").score(
            MODEL, of_pairs(MODEL, images, y, ends, final)
        )
    )
    # rates of 40 sources have a standard deviation of 0.08; that of the covariance is 0.006
    assert row.value < 0.06


def test_one_source_alone_is_refused() -> None:
    y = torch.tensor([2, 0, 0])
    images = torch.nn.functional.one_hot(y, 4).float().view(-1, 1, 2, 2)
    pair = of_pairs(MODEL, images, y, [(0, 1), (0, 2)], images[1:])
    with pytest.raises(InvspecError, match="no class has two targets that both halves"):
        ClassEffect(distance="linf", effect="target_image").score(MODEL, pair)


def test_the_interval_varies_the_targets_too() -> None:
    """All sources fare alike, so that only the draw of targets leaves doubt."""
    row = of_targets({4, 6}, "target")
    assert row.low == 0
    assert row.high > 0.2


def test_with_one_target_a_class_there_is_no_effect_of_the_image() -> None:
    y = torch.tensor([0, 1])
    images = torch.nn.functional.one_hot(y, 4).float().view(2, 1, 2, 2)
    pair = of_pairs(MODEL, images, y, [(0, 1)], images[:1])
    with pytest.raises(InvspecError, match="every class has one target") as problem:
        ClassEffect(distance="linf", effect="target_image").score(MODEL, pair)
    assert "targets.per_class" in problem.value.hint


def test_a_smoke_run_compares_classes() -> None:
    """Its few pairs share no targets."""
    assert ClassEffect(effect="image_difference").smoke().effect == "difference"
