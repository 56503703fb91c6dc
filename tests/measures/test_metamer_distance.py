"""Distances to both ends that one can read off."""

from __future__ import annotations

import pytest
import torch
from pair_examples import FirstPixels, of_pairs
from shown import Shown, shown

from invspec.errors import InvspecError
from invspec.measures.metamer_distance import MetamerDistance, MetamerPathDistance
from invspec.registry.methods import make

MODEL = FirstPixels(2)
IMAGES = torch.tensor([0.0, 1.0, 0.5])[:, None].expand(3, 4).reshape(3, 1, 2, 2)
Y = torch.tensor([0, 1, 1])  # the model says 0 of all
PAIRS = [(0, 1), (0, 2), (1, 0)]
X_ADV = torch.tensor([0.75, 0.125, -0.5])[:, None].expand(3, 4).reshape(3, 1, 2, 2)


def rows(**fields: object) -> dict[str, Shown]:
    score = MetamerDistance.model_validate(fields).score(
        MODEL, of_pairs(MODEL, IMAGES, Y, PAIRS, X_ADV)
    )
    return {str(row.where["quantity"]): row for row in shown(score)}


def values(**fields: object) -> list[float]:
    return [rows(**fields)[name].value for name in ("to_source", "to_target", "closer_to_target")]


def test_distances_are_to_both_ends_and_compared_within_pairs() -> None:
    assert values() == pytest.approx([(0.75 + 0.125 + 1.5) / 3, (0.25 + 0.375 + 0.5) / 3, 2 / 3])
    assert {row.n for row in rows().values()} == {2}


def test_clipped_images_lie_within_the_bounds() -> None:
    assert values(clip=True) == pytest.approx(
        [(0.75 + 0.125 + 1.0) / 3, (0.25 + 0.375 + 0.0) / 3, 2 / 3]
    )


def test_the_distance_can_be_chosen() -> None:
    assert values(distance="l2") == pytest.approx([2 * each for each in values()[:2]] + [2 / 3])


def test_eligible_correct_leaves_out_misclassified_sources() -> None:
    assert values(eligible="correct") == pytest.approx(
        [(0.75 + 0.125) / 2, (0.25 + 0.375) / 2, 1 / 2]
    )


def test_equal_distances_are_not_closer_to_the_target() -> None:
    between = of_pairs(MODEL, IMAGES, Y, PAIRS[:1], torch.full((1, 1, 2, 2), 0.5))
    *_, closer = shown(MetamerDistance().score(MODEL, between))
    assert closer.value == 0


def test_the_card_measures_root_mean_squares_of_all_pairs() -> None:
    measure = make("measure", "metamer_distance", {})
    assert measure == MetamerDistance(distance="rmse", eligible="all", clip=False)
    assert MetamerDistance(distance="lpips_alex").smoke().distance == "laidlaw_self"


# ─ along the path ─────────────────────────────────────────────────────────────────────────────────


def along(path: torch.Tensor | None, **fields: object) -> dict[tuple[str, float], float]:
    attacked = of_pairs(MODEL, IMAGES, Y, PAIRS, X_ADV, path)
    score = MetamerPathDistance.model_validate(fields).score(MODEL, attacked)
    return {(str(row.where["quantity"]), float(row.where["t"])): row.value for row in shown(score)}


def test_each_vertex_has_its_distance_from_both_ends() -> None:
    ends = torch.tensor(PAIRS)
    path = torch.stack([IMAGES[ends[:, 0]], X_ADV], dim=1)
    found = along(path)
    to_source, to_target, _ = values()
    assert (found["to_source", 1.0], found["to_target", 1.0]) == pytest.approx(
        (to_source, to_target)
    )
    assert (found["to_source", 0.0], found["to_target", 0.0]) == pytest.approx(
        (0, (1 + 0.5 + 1) / 3)
    )
    assert along(path, clip=True)["to_target", 1.0] == pytest.approx(values(clip=True)[1])


def test_without_a_path_nothing_is_measured() -> None:
    with pytest.raises(InvspecError, match="kept no path"):
        along(None)
