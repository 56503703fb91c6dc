"""Ranges that numbers are expected in."""

from __future__ import annotations

import pytest

from invspec.spec.schema import Bound


def test_the_limits_of_a_bound_are_combined() -> None:
    assert Bound(above=0.1, below=0.9).range == (0.1, 0.9)
    assert Bound(near=0.5, within=0.3, above=0.4).range == (0.4, 0.8)
    with pytest.raises(ValueError, match=r"no number is both above 0\.5 and below 0\.5"):
        Bound(above=0.5, below=0.5)


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
