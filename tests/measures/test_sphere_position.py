"""Lengths that one can read off."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pair_examples import FirstPixels, of_pairs
from pydantic import ValidationError
from shown import shown

from invspec.data import Examples
from invspec.measures.sphere_position import SpherePosition

MODEL = FirstPixels(2)
IMAGES = torch.tensor([[1.0, 0.0], [0.0, 5.0]])[:, None, None]
Y = torch.tensor([0, 1])
PAIRS = [(0, 1), (0, 1), (1, 0), (1, 0)]
X_ADV = torch.tensor([[3.0, 4.0], [6.0, 8.0], [0.6, 0.8], [0.0, 5.0]])[:, None, None]


def attacked() -> Examples:
    return of_pairs(MODEL, IMAGES, Y, PAIRS, X_ADV)


def values(examples: Examples) -> dict[tuple[str, str], float]:
    score = SpherePosition(inner=1, outer=5).score(MODEL, examples)
    return {
        (str(row.where["quantity"]), str(row.where["source_class"])): row.value
        for row in shown(score)
    }


def test_each_class_of_the_source_has_its_shares_and_its_mean_length() -> None:
    found = values(attacked())
    assert {name: found[name, "0"] for name, k in found if k == "0"} == pytest.approx(
        {"radius": 7.5, "own_sphere": 0, "arrived": 0.5, "beyond": 0.5}
    )
    assert {name: found[name, "1"] for name, k in found if k == "1"} == pytest.approx(
        {"radius": 3, "own_sphere": 0.5, "arrived": 0.5, "beyond": 0}
    )


def test_exact_images_count_where_they_are_stored() -> None:
    moved = X_ADV.double() * 1.01
    tensors = {"x_adv": X_ADV, "exact": moved}
    found = values(replace(attacked(), tensors=tensors))
    assert found["arrived", "0"] == 0
    assert found["radius", "0"] == pytest.approx(7.5 * 1.01)


def test_the_inner_sphere_is_inside_the_outer_one() -> None:
    with pytest.raises(ValidationError, match="expected inner < outer"):
        SpherePosition(inner=3, outer=2)
