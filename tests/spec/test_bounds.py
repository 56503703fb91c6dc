"""Ranges that numbers are expected in."""

from __future__ import annotations

import pytest

from invspec.spec.schema import Bound


def test_the_limits_of_a_bound_are_combined() -> None:
    assert Bound(above=0.1, below=0.9).range == (0.1, 0.9)
    assert Bound(near=0.5, within=0.3, above=0.4).range == (0.4, 0.8)
    with pytest.raises(ValueError, match=r"no number is both above 0\.5 and below 0\.5"):
        Bound(above=0.5, below=0.5)


@pytest.mark.parametrize(("near", "within"), [(0.8, 0.15), (0.5, 0.1), (0, 0.02), (300, 7)])
def test_the_ends_of_near_are_inside_and_those_of_above_and_below_are_not(
    near: float, within: float
) -> None:
    bound = Bound(near=near, within=within)
    for end in (near - within, near + within):
        # a number that was computed in another way is off by its rounding
        for value in (end, end * (1 + 2e-16), end * (1 - 2e-16)):
            assert bound.open_range[0] < value < bound.open_range[1]
    assert not bound.open_range[0] < near - within * 1.0001
    assert Bound(above=0.1, below=0.9).open_range == (0.1, 0.9)
    assert Bound(near=0.5, within=0.1, above=0.4).open_range[0] == 0.4


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ({}, "expected above, below, or near with within, found none of them"),
        ({"near": 1}, "expected near and within together, found near alone"),
        ({"within": 1}, "expected near and within together, found within alone"),
        ({"near": 1, "within": 0.5, "above": 1.5}, r"no number is both above 1\.5 and below 1\.5"),
        ({"near": 1, "within": 0}, "greater than 0"),
    ],
)
def test_a_bound_that_is_no_range_is_refused(bound: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bound.model_validate(bound)
